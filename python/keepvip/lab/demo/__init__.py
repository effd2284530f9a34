"""The demo: two daemons, two networks, a client; a master dies, returns, loses a cable and is stopped gently."""
