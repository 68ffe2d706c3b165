"""The organisers' files onto this machine: fetched with resumption, checked, unpacked inside one folder."""
