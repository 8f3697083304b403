"""The robots of the lab: who can be called, and what each does."""
