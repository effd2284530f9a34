"""What stands in the kernel's routing besides the virtual addresses: static addresses, routes and rules.

Nothing here is on the path of an advert. Messages are made with `struct` alone, so that neither the start nor a
takeover waits for the import of a netlink library (docs/decisions).
"""
