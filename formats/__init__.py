"""Foreign protocols to lists: one small reader a form, all giving `lists.UtteranceList`."""
