"""Which environment variables hold secrets, by their names; imports nothing."""

_WORDS = ("TOKEN", "PASSWORD", "SECRET", "API_KEY", "ACCESS_KEY")


def is_secret(variable: str) -> bool:
    """Tell whether a variable holds a secret."""
    return any(word in variable.upper() for word in _WORDS)
