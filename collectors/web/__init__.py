"""What servers share that take data over HTTP: bounded bodies, refusals, and rows kept before they are acknowledged."""
