"""What people see of a table's new rows: pictures and tables for its page, without Dagster."""
