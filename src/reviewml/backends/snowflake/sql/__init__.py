"""What datasets do to rows in Snowflake, said in SQL."""
