"""RabbitMQ: samples of its management API."""
