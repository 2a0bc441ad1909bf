"""From files to one frozen configuration, with every mistake named at once."""
