"""The schema's history (Alembic), and the command ``helfy-migrate``."""
