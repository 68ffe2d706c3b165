"""What a user may set: every option, where its value comes from, plug-ins found by name; errors and their words."""
