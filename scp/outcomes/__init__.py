"""How deliveries, associations and steps ended, as values."""
