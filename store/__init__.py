"""How to reach the database: settings, connection, embedded server, migrations, writing, reading, errors."""
