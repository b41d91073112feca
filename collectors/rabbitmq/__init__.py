"""RabbitMQ: what a broker tells of itself, whichever way it is asked."""
