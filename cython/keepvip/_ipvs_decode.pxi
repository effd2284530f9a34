# From what the kernel answers to plain tuples.
cdef struct Nest:
    # A walk through the attributes between two offsets of the received bytes. `value` and `size` are the current one.
    const uint8_t *base
    Py_ssize_t pos
    Py_ssize_t end
    const char *what
    const uint8_t *value
    Py_ssize_t size
    int kind


cdef inline Nest walk(const uint8_t *base, Py_ssize_t pos, Py_ssize_t end, const char *what) noexcept nogil:
    cdef Nest nest
    nest.base, nest.pos, nest.end, nest.what = base, pos, end, what
    nest.value, nest.size, nest.kind = NULL, 0, 0
    return nest


cdef inline Nest inner(Nest *nest, const char *what) noexcept nogil:
    cdef Py_ssize_t start = nest.value - nest.base
    return walk(nest.base, start, start + nest.size, what)


cdef inline int advance(Nest *nest) except -1:
    """Step to the next attribute; 0 at the end."""
    cdef Py_ssize_t left = nest.end - nest.pos
    cdef uint16_t length, kind
    if left <= 0:
        return 0
    if left < 4:
        raise ValueError(f"{text_of(nest.what)} at byte {nest.pos}: {left} bytes left, too few for an attribute")
    memcpy(&length, nest.base + nest.pos, 2)
    memcpy(&kind, nest.base + nest.pos + 2, 2)
    if length < 4 or length > left:
        raise ValueError(
            f"{text_of(nest.what)} at byte {nest.pos}: attribute of {length} bytes in the {left} left"
        )
    nest.kind = kind & NLA_TYPE_MASK
    nest.value = nest.base + nest.pos + 4
    nest.size = length - 4
    nest.pos += (length + 3) & ~3
    return 1


cdef str text_of(const char *what):
    return what.decode("ascii")


cdef int wrong_size(Nest *nest, Py_ssize_t size) except -1:
    raise ValueError(
        f"{text_of(nest.what)} at byte {nest.value - nest.base}: "
        f"attribute {nest.kind} has {nest.size} bytes instead of {size}"
    )


cdef inline int get_u8(Nest *nest, uint32_t *out) except -1:
    if nest.size != 1:
        wrong_size(nest, 1)
    out[0] = nest.value[0]
    return 0


cdef inline int get_u16(Nest *nest, uint32_t *out) except -1:
    cdef uint16_t value
    if nest.size != 2:
        wrong_size(nest, 2)
    memcpy(&value, nest.value, 2)
    out[0] = value
    return 0


cdef inline int get_port(Nest *nest, uint32_t *out) except -1:
    if nest.size != 2:
        wrong_size(nest, 2)
    out[0] = <uint32_t>nest.value[0] << 8 | nest.value[1]
    return 0


cdef inline int get_u32(Nest *nest, uint32_t *out) except -1:
    if nest.size != 4:
        wrong_size(nest, 4)
    memcpy(out, nest.value, 4)
    return 0


cdef str get_text(Nest *nest):
    cdef const void *end = memchr(nest.value, 0, nest.size) if nest.size else NULL
    cdef Py_ssize_t size = nest.size if end is NULL else <const uint8_t *>end - nest.value
    return (<const char *>nest.value)[:size].decode("utf-8", "surrogateescape")


cdef bytes get_address(const uint8_t *value, Py_ssize_t size, uint32_t family, str what):
    cdef Py_ssize_t wanted
    if family == AF_INET:
        wanted = 4
    elif family == AF_INET6 or family == 0:
        wanted = UNION_ADDRESS
    else:
        raise ValueError(f"{what}: unknown address family {family}")
    if size < wanted:
        raise ValueError(f"{what}: address of {size} bytes for address family {family}")
    return PyBytes_FromStringAndSize(<const char *>value, wanted)


cdef tuple get_stats(Nest narrow, Nest wide):
    """Read the 64 bit statistics, the old ones only where the kernel knows no others; None without any."""
    cdef uint64_t s[STATS_COUNT]
    cdef uint32_t half = 0
    cdef bint is_wide = wide.what is not NULL
    cdef Nest nest = wide if is_wide else narrow
    if nest.what is NULL:
        return None
    memset(s, 0, sizeof(s))
    while advance(&nest):
        if nest.kind < 1 or nest.kind > STATS_COUNT:  # number 11 is padding
            continue
        if is_wide or nest.kind == STATS_INBYTES or nest.kind == STATS_OUTBYTES:
            if nest.size != 8:
                wrong_size(&nest, 8)
            memcpy(&s[nest.kind - 1], nest.value, 8)
        else:
            get_u32(&nest, &half)
            s[nest.kind - 1] = half
    return (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9])


def decode(const uint8_t[::1] data not None, int family_id):
    """Decode what one recv() returned: any number of whole netlink messages."""
    cdef list records = []
    cdef Py_ssize_t pos = 0, end = data.shape[0], left
    cdef const uint8_t *base
    cdef uint32_t length, seq
    cdef uint16_t kind
    cdef int32_t error
    if end == 0:
        return records
    base = &data[0]
    while pos < end:
        left = end - pos
        if left < NLMSG_HEADER:
            raise ValueError(f"message at byte {pos}: {left} bytes left, too few for a netlink header")
        memcpy(&length, base + pos, 4)
        memcpy(&kind, base + pos + 4, 2)
        memcpy(&seq, base + pos + 8, 4)
        if length < NLMSG_HEADER or length > left:
            raise ValueError(f"message at byte {pos}: {length} bytes long with {left} left")
        if kind == family_id or kind == GENL_ID_CTRL:
            records.append(generic(base, pos, length, kind, seq))
        elif kind == NLMSG_ERROR or kind == NLMSG_DONE:
            error = 0
            if length >= NLMSG_HEADER + 4:
                memcpy(&error, base + pos + NLMSG_HEADER, 4)
            elif kind == NLMSG_ERROR:
                raise ValueError(f"message at byte {pos}: {length} bytes are too few for an error number")
            records.append((ACK if kind == NLMSG_ERROR else DONE, seq, -<long long>error))
        elif kind != NLMSG_NOOP:
            raise ValueError(f"message at byte {pos}: unexpected type {kind}")
        pos += (<Py_ssize_t>length + 3) & ~3
    return records


cdef tuple generic(const uint8_t *base, Py_ssize_t pos, uint32_t length, int kind, uint32_t seq):
    cdef Nest nest
    cdef uint32_t first = 0, second = 0, third = 0
    cdef int command
    if length < NLMSG_HEADER + GENL_HEADER:
        raise ValueError(f"message at byte {pos}: {length} bytes are too few for a generic netlink header")
    command = base[pos + NLMSG_HEADER]
    nest = walk(base, pos + NLMSG_HEADER + GENL_HEADER, pos + length, "message")
    if kind == GENL_ID_CTRL:
        if command != CTRL_NEWFAMILY:
            raise ValueError(f"message at byte {pos}: unexpected controller command {command}")
        return family_record(nest, seq)
    if command == CMD_NEW_DEST:
        return destination_record(only(&nest, CMD_ATTR_DEST, "destination", pos), seq)
    if command == CMD_NEW_SERVICE:
        return service_record(only(&nest, CMD_ATTR_SERVICE, "service", pos), seq)
    if command == CMD_NEW_DAEMON:
        return daemon_record(only(&nest, CMD_ATTR_DAEMON, "daemon", pos), seq)
    if command == CMD_SET_CONFIG:
        while advance(&nest):
            if nest.kind == CMD_ATTR_TCP:
                get_u32(&nest, &first)
            elif nest.kind == CMD_ATTR_TCP_FIN:
                get_u32(&nest, &second)
            elif nest.kind == CMD_ATTR_UDP:
                get_u32(&nest, &third)
        return (CMD_SET_CONFIG, seq, first, second, third)
    if command == CMD_SET_INFO:
        while advance(&nest):
            if nest.kind == INFO_VERSION:
                get_u32(&nest, &first)
            elif nest.kind == INFO_TABLE:
                get_u32(&nest, &second)
        return (CMD_SET_INFO, seq, first, second)
    raise ValueError(f"message at byte {pos}: unexpected IPVS command {command}")


cdef Nest only(Nest *nest, int wanted, const char *what, Py_ssize_t pos) except *:
    cdef Nest found = walk(nest.base, 0, 0, NULL)
    while advance(nest):
        if nest.kind == wanted:
            found = inner(nest, what)
    if found.what is NULL:
        raise ValueError(f"message at byte {pos}: {text_of(what)} missing")
    return found


cdef tuple family_record(Nest nest, uint32_t seq):
    cdef uint32_t number = 0
    cdef str name = ""
    while advance(&nest):
        if nest.kind == CTRL_ATTR_ID:
            get_u16(&nest, &number)
        elif nest.kind == CTRL_ATTR_NAME:
            name = get_text(&nest)
    return (FAMILY, seq, number, name)


cdef tuple service_record(Nest nest, uint32_t seq):
    cdef uint32_t family = 0, protocol = 0, port = 0, fwmark = 0, flags = 0, mask = 0, timeout_s = 0, netmask = 0
    cdef const uint8_t *raw = NULL
    cdef const uint8_t *raw_mask = NULL
    cdef Py_ssize_t raw_size = 0
    cdef str scheduler = "", engine = ""
    cdef bytes address = b""
    cdef Nest narrow = walk(NULL, 0, 0, NULL), wide = walk(NULL, 0, 0, NULL)
    while advance(&nest):
        if nest.kind == SVC_AF:
            get_u16(&nest, &family)
        elif nest.kind == SVC_PROTOCOL:
            get_u16(&nest, &protocol)
        elif nest.kind == SVC_ADDR:
            raw, raw_size = nest.value, nest.size
        elif nest.kind == SVC_PORT:
            get_port(&nest, &port)
        elif nest.kind == SVC_FWMARK:
            get_u32(&nest, &fwmark)
        elif nest.kind == SVC_SCHED:
            scheduler = get_text(&nest)
        elif nest.kind == SVC_FLAGS:
            if nest.size != 8:
                wrong_size(&nest, 8)
            memcpy(&flags, nest.value, 4)
            memcpy(&mask, nest.value + 4, 4)
        elif nest.kind == SVC_TIMEOUT:
            get_u32(&nest, &timeout_s)
        elif nest.kind == SVC_NETMASK:
            get_u32(&nest, &netmask)
            raw_mask = nest.value
        elif nest.kind == SVC_PE:
            engine = get_text(&nest)
        elif nest.kind == SVC_STATS64:
            wide = inner(&nest, "statistics")
        elif nest.kind == SVC_STATS:
            narrow = inner(&nest, "statistics")
    if family != AF_INET and family != AF_INET6:
        raise ValueError(f"service: unknown address family {family}")
    if fwmark:
        protocol = port = 0
    else:
        address = get_address(raw, raw_size, family, "service")
    if family == AF_INET and raw_mask is not NULL:
        # A mask in network order; for IPv6 it is a prefix length in the host's.
        netmask = (<uint32_t>raw_mask[0] << 24 | <uint32_t>raw_mask[1] << 16 | <uint32_t>raw_mask[2] << 8 | raw_mask[3])
    return (
        CMD_NEW_SERVICE, seq, family, protocol, address, port, fwmark,
        scheduler, flags, mask, timeout_s, netmask, engine, get_stats(narrow, wide),
    )


cdef tuple destination_record(Nest nest, uint32_t seq):
    cdef uint32_t family = 0, port = 0
    cdef uint32_t n[DEST_TUN_FLAGS + 1]
    cdef const uint8_t *raw = NULL
    cdef Py_ssize_t raw_size = 0
    cdef Nest narrow = walk(NULL, 0, 0, NULL), wide = walk(NULL, 0, 0, NULL)
    memset(n, 0, sizeof(n))
    while advance(&nest):
        if DEST_METHOD <= nest.kind <= DEST_PERSISTENT:
            get_u32(&nest, &n[nest.kind])
        elif nest.kind == DEST_ADDR:
            raw, raw_size = nest.value, nest.size
        elif nest.kind == DEST_PORT:
            get_port(&nest, &port)
        elif nest.kind == DEST_FAMILY:
            get_u16(&nest, &family)
        elif nest.kind == DEST_STATS64:
            wide = inner(&nest, "statistics")
        elif nest.kind == DEST_STATS:
            narrow = inner(&nest, "statistics")
        elif nest.kind == DEST_TUN_TYPE:
            get_u8(&nest, &n[DEST_TUN_TYPE])
        elif nest.kind == DEST_TUN_PORT:
            get_port(&nest, &n[DEST_TUN_PORT])
        elif nest.kind == DEST_TUN_FLAGS:
            get_u16(&nest, &n[DEST_TUN_FLAGS])
    return (
        CMD_NEW_DEST, seq, family, get_address(raw, raw_size, family, "destination"), port,
        n[DEST_METHOD], n[DEST_WEIGHT], n[DEST_UPPER], n[DEST_LOWER],
        n[DEST_TUN_TYPE], n[DEST_TUN_PORT], n[DEST_TUN_FLAGS],
        n[DEST_ACTIVE], n[DEST_INACTIVE], n[DEST_PERSISTENT], get_stats(narrow, wide),
    )


cdef tuple daemon_record(Nest nest, uint32_t seq):
    cdef uint32_t state = 0, sync_id = 0, max_len = 0, port = 0, ttl = 0
    cdef str interface = ""
    cdef bytes group = b""
    while advance(&nest):
        if nest.kind == DAEMON_STATE:
            get_u32(&nest, &state)
        elif nest.kind == DAEMON_IFN:
            interface = get_text(&nest)
        elif nest.kind == DAEMON_ID:
            get_u32(&nest, &sync_id)
        elif nest.kind == DAEMON_MAXLEN:
            get_u16(&nest, &max_len)
        elif nest.kind == DAEMON_GROUP or nest.kind == DAEMON_GROUP6:
            if nest.size != (4 if nest.kind == DAEMON_GROUP else 16):
                wrong_size(&nest, 4 if nest.kind == DAEMON_GROUP else 16)
            group = PyBytes_FromStringAndSize(<const char *>nest.value, nest.size)
        elif nest.kind == DAEMON_PORT:
            get_u16(&nest, &port)
        elif nest.kind == DAEMON_TTL:
            get_u8(&nest, &ttl)
    return (CMD_NEW_DAEMON, seq, state, interface, sync_id, max_len, group, port, ttl)
