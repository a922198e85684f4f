"""Messages to people about sessions that need them: by e-mail, to a web hook, by plugins."""
