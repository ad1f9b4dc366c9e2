"""Bring the database to the shape that this version of the application needs; safe to repeat."""

import store

with store.database() as connection, connection.cursor() as cursor:
    cursor.execute("create table if not exists notes (id serial primary key, text text not null)")
    cursor.execute("select count(*) from notes")
    print(f"migrated; {cursor.fetchone()[0]} notes are there")
