"""Who may do what at the broker: users with keys of their own, and the least rights for each."""
