# From plain tuples to requests.
cdef enum:
    ROOM = 512  # the largest request, a service with a full destination, takes 288 bytes

cdef struct Out:
    uint8_t bytes[ROOM]
    Py_ssize_t size


cdef Py_ssize_t reserve(Out *out, int kind, Py_ssize_t size) except -1:
    """Append the header of an attribute with `size` zeroed bytes of value; return where the value lies."""
    cdef Py_ssize_t start = out.size + 4
    cdef uint16_t length = <uint16_t>(size + 4), number = <uint16_t>kind
    if start + size + 3 > ROOM:
        raise ValueError("request too long")
    memcpy(&out.bytes[out.size], &length, 2)
    memcpy(&out.bytes[out.size + 2], &number, 2)
    out.size = start + ((size + 3) & ~3)
    memset(&out.bytes[start], 0, out.size - start)
    return start


cdef Py_ssize_t open_nest(Out *out, int kind) except -1:
    return reserve(out, kind | NLA_F_NESTED, 0)


cdef void close_nest(Out *out, Py_ssize_t start) noexcept:
    cdef uint16_t length = <uint16_t>(out.size - start + 4)
    memcpy(&out.bytes[start - 4], &length, 2)


cdef uint32_t checked(str name, object value, int size) except? 0xFFFFFFFF:
    if not 0 <= value < <uint64_t>1 << 8 * size:
        raise ValueError(f"{name} {value} does not fit into {8 * size} bits")
    return value


cdef int put_number(Out *out, int kind, str name, object value, int size) except -1:
    cdef uint32_t number = checked(name, value, size)
    cdef Py_ssize_t start = reserve(out, kind, size)
    cdef uint16_t half
    if size == 4:
        memcpy(&out.bytes[start], &number, 4)
    elif size == 2:
        half = <uint16_t>number
        memcpy(&out.bytes[start], &half, 2)
    else:
        out.bytes[start] = <uint8_t>number
    return 0


cdef int put_network(Out *out, int kind, str name, object value, int size) except -1:
    """As put_number, in network byte order."""
    cdef uint32_t number = checked(name, value, size)
    cdef Py_ssize_t start = reserve(out, kind, size)
    cdef int i
    for i in range(size):
        out.bytes[start + i] = <uint8_t>(number >> 8 * (size - 1 - i))
    return 0


cdef int put_text(Out *out, int kind, str name, str value) except -1:
    cdef bytes raw = value.encode("utf-8", "surrogateescape")
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw), start
    if not 1 <= size <= NAME_MAX or memchr(PyBytes_AS_STRING(raw), 0, size) is not NULL:
        raise ValueError(f"{name} {value!r} is not 1 to {NAME_MAX} bytes without NUL")
    start = reserve(out, kind, size + 1)
    memcpy(&out.bytes[start], PyBytes_AS_STRING(raw), size)
    return 0


cdef int put_address(Out *out, int kind, object family, bytes address) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(address), start
    if not ((family == AF_INET and size == 4) or (family == AF_INET6 and size == 16)):
        raise ValueError(f"address of {size} bytes for address family {family}")
    start = reserve(out, kind, UNION_ADDRESS)
    memcpy(&out.bytes[start], PyBytes_AS_STRING(address), size)
    return 0


cdef int put_service(Out *out, tuple key, tuple options) except -1:
    cdef Py_ssize_t nest = open_nest(out, CMD_ATTR_SERVICE), start
    cdef uint32_t flags, mask
    family, protocol, address, port, fwmark = key
    put_number(out, SVC_AF, "address family", family, 2)
    if fwmark:
        put_number(out, SVC_FWMARK, "fwmark", fwmark, 4)
    else:
        put_number(out, SVC_PROTOCOL, "protocol", protocol, 2)
        put_address(out, SVC_ADDR, family, address)
        put_network(out, SVC_PORT, "port", port, 2)
    if options is not None:
        scheduler, raw_flags, raw_mask, timeout_s, netmask, engine = options
        put_text(out, SVC_SCHED, "scheduler", scheduler)
        if engine:
            put_text(out, SVC_PE, "persistence engine", engine)
        flags = checked("flags", raw_flags, 4)
        mask = checked("flag mask", raw_mask, 4)
        start = reserve(out, SVC_FLAGS, 8)
        memcpy(&out.bytes[start], &flags, 4)
        memcpy(&out.bytes[start + 4], &mask, 4)
        put_number(out, SVC_TIMEOUT, "timeout", timeout_s, 4)
        if family == AF_INET:
            put_network(out, SVC_NETMASK, "netmask", netmask, 4)
        else:
            put_number(out, SVC_NETMASK, "netmask", netmask, 4)
    close_nest(out, nest)
    return 0


cdef int put_destination(Out *out, tuple destination) except -1:
    cdef Py_ssize_t nest = open_nest(out, CMD_ATTR_DEST)
    family, address, port = destination[:3]
    put_address(out, DEST_ADDR, family, address)
    put_network(out, DEST_PORT, "port", port, 2)
    put_number(out, DEST_FAMILY, "address family", family, 2)
    if len(destination) > 3:
        method, weight, upper, lower, tunnel_type, tunnel_port, tunnel_flags = destination[3:]
        put_number(out, DEST_METHOD, "method", method, 4)
        put_number(out, DEST_WEIGHT, "weight", weight, 4)
        put_number(out, DEST_UPPER, "upper threshold", upper, 4)
        put_number(out, DEST_LOWER, "lower threshold", lower, 4)
        if tunnel_type or tunnel_port or tunnel_flags:
            put_number(out, DEST_TUN_TYPE, "tunnel type", tunnel_type, 1)
            put_network(out, DEST_TUN_PORT, "tunnel port", tunnel_port, 2)
            put_number(out, DEST_TUN_FLAGS, "tunnel flags", tunnel_flags, 2)
    close_nest(out, nest)
    return 0


cdef int begin(Out *out, object command, object family_id, object seq, object nl_flags) except -1:
    """Write both headers; the length is entered by finish()."""
    cdef uint8_t raw_command = <uint8_t>checked("command", command, 1)
    cdef uint16_t kind = <uint16_t>checked("family number", family_id, 2)
    cdef uint16_t flags = <uint16_t>checked("netlink flags", nl_flags, 2)
    cdef uint32_t number = checked("sequence number", seq, 4)
    memset(out.bytes, 0, NLMSG_HEADER + GENL_HEADER)
    memcpy(&out.bytes[4], &kind, 2)
    memcpy(&out.bytes[6], &flags, 2)
    memcpy(&out.bytes[8], &number, 4)
    out.bytes[NLMSG_HEADER] = raw_command
    out.bytes[NLMSG_HEADER + 1] = GENL_VERSION
    out.size = NLMSG_HEADER + GENL_HEADER
    return 0


cdef bytes finish(Out *out):
    cdef uint32_t length = <uint32_t>out.size
    memcpy(out.bytes, &length, 4)
    return PyBytes_FromStringAndSize(<const char *>out.bytes, out.size)


def encode(command, family_id, seq, nl_flags, tuple service=None, tuple options=None, tuple destination=None):
    """Encode one request about services and destinations, or one without attributes (flush, dumps, info)."""
    cdef Out out
    begin(&out, command, family_id, seq, nl_flags)
    if service is not None:
        put_service(&out, service, options)
    elif options is not None or destination is not None:
        raise ValueError("options and destinations need a service")
    if destination is not None:
        put_destination(&out, destination)
    return finish(&out)


def encode_daemon(command, family_id, seq, nl_flags, tuple daemon not None):
    """Encode NEW_DAEMON or DEL_DAEMON; what is 0 or empty is left out and so takes the kernel's default."""
    cdef Out out
    cdef Py_ssize_t nest, start, size
    state, interface, sync_id, max_len, group, port, ttl = daemon
    begin(&out, command, family_id, seq, nl_flags)
    nest = open_nest(&out, CMD_ATTR_DAEMON)
    put_number(&out, DAEMON_STATE, "state", state, 4)
    if interface:
        put_text(&out, DAEMON_IFN, "interface", interface)
    put_number(&out, DAEMON_ID, "sync id", sync_id, 4)
    if max_len:
        put_number(&out, DAEMON_MAXLEN, "payload length", max_len, 2)
    if group:
        size = PyBytes_GET_SIZE(<bytes?>group)
        if size != 4 and size != 16:
            raise ValueError(f"multicast group of {size} bytes")
        start = reserve(&out, DAEMON_GROUP if size == 4 else DAEMON_GROUP6, size)
        memcpy(&out.bytes[start], PyBytes_AS_STRING(<bytes>group), size)
    if port:
        put_number(&out, DAEMON_PORT, "multicast port", port, 2)
    if ttl:
        put_number(&out, DAEMON_TTL, "ttl", ttl, 1)
    close_nest(&out, nest)
    return finish(&out)


def encode_config(family_id, seq, nl_flags, tcp_s, tcp_fin_s, udp_s):
    """Encode SET_CONFIG with the three connection timeouts in seconds; 0 leaves that timeout as it is."""
    cdef Out out
    begin(&out, CMD_SET_CONFIG, family_id, seq, nl_flags)
    if tcp_s:
        put_number(&out, CMD_ATTR_TCP, "TCP timeout", tcp_s, 4)
    if tcp_fin_s:
        put_number(&out, CMD_ATTR_TCP_FIN, "TCP FIN timeout", tcp_fin_s, 4)
    if udp_s:
        put_number(&out, CMD_ATTR_UDP, "UDP timeout", udp_s, 4)
    return finish(&out)


def encode_get_family(seq, str name not None="IPVS"):
    """Encode the question to the generic netlink controller for the number of family `name`."""
    cdef Out out
    begin(&out, CTRL_GETFAMILY, GENL_ID_CTRL, seq, 1)
    put_text(&out, CTRL_ATTR_NAME, "family name", name)
    return finish(&out)
