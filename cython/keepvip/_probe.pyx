# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Thousands of TCP, UDP, DNS and ICMP probes over one nested epoll set, without the GIL while it works.

    start([...])   asks: sockets are made, connected, sent on
    fileno()       readable when something is to be collected; the event loop watches this one descriptor
    collect()      gives what has been decided meanwhile, in one batch

Every probe has a deadline; a timerfd in the same epoll set wakes whoever watches. What a result means is up to the
caller; here it is one of the verdicts below, with the error number that the kernel gave. Replies are bounded by what was
asked for. Not thread-safe: one engine belongs to one thread.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport (EAGAIN, ECONNABORTED, ECONNREFUSED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, EINPROGRESS, EINTR,
    ENETDOWN, ENETUNREACH, ETIMEDOUT, errno)
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from keepvip._probe_sys cimport *

TCP = 1
UDP = 2
DNS = 3
PING = 4

CONNECTED = 1
REPLIED = 2
TIMED_OUT = 3
FAILED = 4
LOCAL = 5

cdef enum:
    K_TCP = 1
    K_UDP = 2
    K_DNS = 3
    K_PING = 4
    V_CONNECTED = 1
    V_REPLIED = 2
    V_TIMED_OUT = 3
    V_FAILED = 4
    V_LOCAL = 5
    ADDRESS_BYTES = 28
    DEVICE_BYTES = 16
    EVENTS = 256
    BATCH = 4096
    MOST_REPLY = 65535
    TIMER = 0xFFFFFFFF

cdef struct Slot:
    uint64_t token
    int64_t started_us
    int64_t deadline_us
    uint32_t generation
    uint32_t next_free
    int fd
    uint8_t kind
    uint8_t busy
    uint8_t borrowed      # the descriptor is the caller's
    uint16_t sequence     # DNS: id, ICMP: sequence number; network byte order as sent
    uint32_t want         # bytes of the reply that the caller looks at

cdef struct Ask:
    uint64_t token
    int64_t timeout_us
    uint8_t kind
    uint8_t target[ADDRESS_BYTES]
    uint8_t source[ADDRESS_BYTES]
    uint8_t device[DEVICE_BYTES]
    uint32_t target_size
    uint32_t source_size
    uint32_t mark
    uint32_t want
    uint16_t sequence
    int fd
    const uint8_t *payload
    size_t payload_size

cdef struct Due:
    int64_t at_us
    uint32_t slot
    uint32_t generation

cdef struct Result:
    uint64_t token
    int64_t took_us
    int verdict
    int error
    int64_t size          # of the reply as it came
    uint8_t *reply        # what was kept of it; NULL: nothing
    uint32_t kept


cdef int64_t now_us() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000000 + now.tv_nsec // 1000


cdef bint is_failure(int error) noexcept nogil:
    """The other side's or the network's doing, not this host's (checkers-and-ipvs.md 3.3)."""
    return error in (ECONNREFUSED, ECONNRESET, ECONNABORTED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN)


cdef class Probes:
    """The engine. `close` it, or let go of it: all descriptors are closed."""

    cdef int _epoll
    cdef int _timer
    cdef int64_t _armed_us
    cdef Slot *_slots
    cdef uint32_t _capacity
    cdef uint32_t _free
    cdef uint32_t _busy
    cdef Due *_heap
    cdef uint32_t _heap_size
    cdef uint32_t _heap_capacity
    cdef Result *_results
    cdef uint32_t _result_count
    cdef uint32_t _result_capacity
    cdef uint8_t *_buffer

    def __cinit__(self):
        self._epoll = self._timer = -1
        self._free = TIMER
        self._buffer = <uint8_t *>malloc(MOST_REPLY + 1)
        if self._buffer == NULL:
            raise MemoryError()
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        self._timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._epoll < 0 or self._timer < 0:
            raise OSError(errno, "cannot make an epoll set and its timer")
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.u64 = TIMER
        if epoll_ctl(self._epoll, EPOLL_CTL_ADD, self._timer, &event) < 0:
            raise OSError(errno, "cannot watch the timer")

    def __dealloc__(self):
        self._end()

    def close(self):
        """Ends all probes without a result and closes everything."""
        self._end()

    def fileno(self):
        """The descriptor to watch for reading."""
        if self._epoll < 0:
            raise ValueError("the probe engine is closed")
        return self._epoll

    @property
    def pending(self):
        """Probes that are not decided yet."""
        return self._busy

    def start(self, asks):
        """Starts probes; see the stub for what a request holds. Results come by `collect`, those of this call too."""
        if self._epoll < 0:
            raise ValueError("the probe engine is closed")
        cdef Py_ssize_t count = len(asks), at = 0
        cdef Ask *wanted = <Ask *>malloc(count * sizeof(Ask) if count else 1)
        if wanted == NULL:
            raise MemoryError()
        try:
            for ask in asks:
                read_ask(ask, &wanted[at])
                at += 1
            self._reserve(<uint32_t>count)
            with nogil:
                for at in range(count):
                    self._begin(&wanted[at])
                self._arm()
        finally:
            free(wanted)

    def cancel(self, uint64_t token):
        """Ends a probe without a result; True if there was one. O(n): for reloads."""
        cdef uint32_t at
        for at in range(self._capacity):
            if self._slots[at].busy and self._slots[at].token == token:
                self._release(at)
                return True
        return False

    def collect(self):
        """(token, verdict, error number, microseconds taken, size of the reply, kept part of it) of what is decided."""
        if self._epoll < 0:
            return []
        self._reserve_results(BATCH + EVENTS)
        with nogil:
            self._work()
        cdef list found = []
        cdef uint32_t at
        cdef Result *result
        for at in range(self._result_count):
            result = &self._results[at]
            reply = None
            if result.reply != NULL:
                reply = PyBytes_FromStringAndSize(<char *>result.reply, result.kept)
                free(result.reply)
                result.reply = NULL
            found.append((result.token, result.verdict, result.error, result.took_us, result.size, reply))
        self._result_count = 0
        with nogil:
            self._arm()
        return found

    # ---- everything below runs without the GIL, except growing

    cdef int _reserve(self, uint32_t more) except -1:
        """Room for `more` further probes, their deadlines and, should all end at once, their results."""
        cdef uint32_t wanted = self._busy + more, capacity = self._capacity or 64, at
        while capacity < wanted:
            capacity *= 2
        cdef void *grown
        if capacity > self._capacity:
            grown = realloc(self._slots, capacity * sizeof(Slot))
            if grown == NULL:
                raise MemoryError()
            self._slots = <Slot *>grown
            memset(&self._slots[self._capacity], 0, (capacity - self._capacity) * sizeof(Slot))
            for at in range(self._capacity, capacity):
                self._slots[at].fd = -1
                self._slots[at].next_free = self._free
                self._free = at
            self._capacity = capacity
        self._compact()
        if self._heap_size + more > self._heap_capacity:
            grown = realloc(self._heap, 2 * (self._heap_size + more) * sizeof(Due))
            if grown == NULL:
                raise MemoryError()
            self._heap = <Due *>grown
            self._heap_capacity = 2 * (self._heap_size + more)
        self._reserve_results(more)
        return 0

    cdef int _reserve_results(self, uint32_t more) except -1:
        cdef void *grown
        if self._result_count + more > self._result_capacity:
            grown = realloc(self._results, (self._result_count + more) * sizeof(Result))
            if grown == NULL:
                raise MemoryError()
            self._results = <Result *>grown
            self._result_capacity = self._result_count + more
        return 0

    cdef void _begin(self, const Ask *ask) noexcept nogil:
        cdef uint32_t at = self._free
        cdef Slot *slot = &self._slots[at]
        self._free = slot.next_free
        self._busy += 1
        slot.busy = 1
        slot.token = ask.token
        slot.kind = ask.kind
        slot.want = ask.want
        slot.sequence = ask.sequence
        slot.started_us = now_us()
        slot.deadline_us = slot.started_us + ask.timeout_us
        slot.borrowed = ask.fd >= 0
        slot.fd = ask.fd
        cdef int error = self._open(slot, ask)
        cdef epoll_event event
        if error == 0:
            event.events = EPOLLOUT if ask.kind == K_TCP else EPOLLIN
            event.data.u64 = (<uint64_t>slot.generation << 32) | at
            if epoll_ctl(self._epoll, EPOLL_CTL_ADD, slot.fd, &event) < 0:
                error = -errno
        if error < 0:
            self._decide(at, V_LOCAL, -error, 0, NULL)
        elif error > 0:
            self._decide(at, V_FAILED, error, 0, NULL)
        else:
            self._push(slot.deadline_us, at, slot.generation)

    cdef int _open(self, Slot *slot, const Ask *ask) noexcept nogil:
        """0: under way; positive: refused at once; negative: this host cannot do it."""
        cdef int one = 1, family = (<const sockaddr *>ask.target).sa_family, error
        cdef int kind = SOCK_STREAM if ask.kind == K_TCP else SOCK_DGRAM
        if slot.fd < 0:
            slot.fd = socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
            if slot.fd < 0:
                return -errno
            if ask.mark and setsockopt(slot.fd, SOL_SOCKET, SO_MARK, &ask.mark, sizeof(ask.mark)) < 0:
                return -errno
            if ask.device[0] and setsockopt(slot.fd, SOL_SOCKET, SO_BINDTODEVICE, ask.device, DEVICE_BYTES) < 0:
                return -errno
            if ask.source_size:
                if has_port(ask.source):
                    setsockopt(slot.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
                else:
                    setsockopt(slot.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
                if bind(slot.fd, <const sockaddr *>ask.source, ask.source_size) < 0:
                    return -errno
            if connect(slot.fd, <const sockaddr *>ask.target, ask.target_size) < 0 and errno != EINPROGRESS:
                error = errno
                return error if is_failure(error) else -error
        if ask.kind == K_TCP:
            return 0
        if send(slot.fd, ask.payload, ask.payload_size, MSG_NOSIGNAL) < 0:
            error = errno
            return error if is_failure(error) else -error
        return 0

    cdef void _work(self) noexcept nogil:
        """Takes what epoll and the clock have, up to a batch."""
        cdef epoll_event events[EVENTS]
        cdef uint64_t data, ticks
        cdef uint32_t at, taken = 0
        cdef int count, place
        while taken < BATCH:
            count = epoll_wait(self._epoll, events, EVENTS, 0)
            if count <= 0:
                break
            for place in range(count):
                data = events[place].data.u64
                if data == TIMER:
                    self._armed_us = 0
                    read(self._timer, &ticks, sizeof(ticks))
                    continue
                at = <uint32_t>data
                if at < self._capacity and self._slots[at].busy and self._slots[at].generation == <uint32_t>(data >> 32):
                    self._ready(at)
            taken += <uint32_t>count
            if count < EVENTS:
                break
        self._expire()

    cdef void _ready(self, uint32_t at) noexcept nogil:
        cdef Slot *slot = &self._slots[at]
        cdef int error = 0
        cdef socklen_t size = sizeof(error)
        cdef ssize_t got
        if slot.kind == K_TCP:
            if getsockopt(slot.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0:
                error = errno
            if error:
                self._decide(at, V_FAILED, error, 0, NULL)
            else:
                self._decide(at, V_CONNECTED, 0, 0, NULL)
            return
        while True:
            got = recv(slot.fd, self._buffer, MOST_REPLY, MSG_TRUNC)
            if got < 0:
                error = errno
                if error == EAGAIN or error == EINTR:
                    return
                self._decide(at, V_FAILED, error, 0, NULL)
                return
            if not self._answers(slot, got):
                continue
            self._decide(at, V_REPLIED, 0, got, self._buffer)
            return

    cdef bint _answers(self, const Slot *slot, ssize_t got) noexcept nogil:
        """Whether the datagram is the answer; others are ignored until the deadline."""
        cdef uint8_t *data = self._buffer
        if slot.kind == K_DNS:
            return got >= 12 and data[0] == slot.sequence >> 8 and data[1] == (slot.sequence & 0xFF) and data[2] & 0x80
        if slot.kind == K_PING:
            return (got >= 8 and (data[0] == 0 or data[0] == 129)
                    and data[6] == slot.sequence >> 8 and data[7] == (slot.sequence & 0xFF))
        return True

    cdef void _expire(self) noexcept nogil:
        cdef int64_t now = now_us()
        cdef Due due
        cdef Slot *slot
        while self._heap_size and self._heap[0].at_us <= now and self._result_count < self._result_capacity:
            due = self._heap[0]
            slot = &self._slots[due.slot]
            if slot.busy and slot.generation == due.generation:
                self._decide(due.slot, V_TIMED_OUT, ETIMEDOUT, 0, NULL)
            self._pop()

    cdef void _decide(self, uint32_t at, int verdict, int error, ssize_t size, const uint8_t *reply) noexcept nogil:
        """Room was reserved: one result for each probe of a batch, and for each that starts."""
        cdef Slot *slot = &self._slots[at]
        cdef Result *result
        if self._result_count < self._result_capacity:
            result = &self._results[self._result_count]
            self._result_count += 1
            result.token = slot.token
            result.took_us = now_us() - slot.started_us
            result.verdict = verdict
            result.error = error
            result.size = size
            result.reply = NULL
            result.kept = 0
            if reply != NULL and slot.want:
                result.kept = <uint32_t>size if size < slot.want else slot.want
                result.reply = <uint8_t *>malloc(result.kept if result.kept else 1)
                if result.reply != NULL:
                    memcpy(result.reply, reply, result.kept)
        self._release(at)

    cdef void _release(self, uint32_t at) noexcept nogil:
        cdef Slot *slot = &self._slots[at]
        cdef epoll_event event
        if slot.fd >= 0:
            if slot.borrowed:
                epoll_ctl(self._epoll, EPOLL_CTL_DEL, slot.fd, &event)
            else:
                close(slot.fd)
        slot.fd = -1
        slot.busy = 0
        slot.generation += 1
        slot.next_free = self._free
        self._free = at
        self._busy -= 1

    cdef void _arm(self) noexcept nogil:
        """The timer goes to the earliest deadline; results that wait already make it fire at once."""
        cdef itimerspec when
        cdef int64_t at_us = 0
        while self._heap_size and not self._is_live(&self._heap[0]):
            self._pop()
        if self._result_count:
            at_us = 1
        elif self._heap_size:
            at_us = self._heap[0].at_us + 1
        if at_us == self._armed_us:
            return
        self._armed_us = at_us
        memset(&when, 0, sizeof(when))
        when.it_value.tv_sec = <time_t>(at_us // 1000000)
        when.it_value.tv_nsec = <long>(at_us % 1000000) * 1000
        timerfd_settime(self._timer, TFD_TIMER_ABSTIME, &when, NULL)

    # ---- deadlines: a binary heap whose entries of decided probes are passed over

    cdef bint _is_live(self, const Due *due) noexcept nogil:
        return self._slots[due.slot].busy and self._slots[due.slot].generation == due.generation

    cdef void _push(self, int64_t at_us, uint32_t slot, uint32_t generation) noexcept nogil:
        cdef uint32_t at = self._heap_size, parent
        self._heap_size += 1
        while at:
            parent = (at - 1) // 2
            if self._heap[parent].at_us <= at_us:
                break
            self._heap[at] = self._heap[parent]
            at = parent
        self._heap[at].at_us = at_us
        self._heap[at].slot = slot
        self._heap[at].generation = generation

    cdef void _pop(self) noexcept nogil:
        self._heap_size -= 1
        if self._heap_size:
            self._sink(0, self._heap[self._heap_size])

    cdef void _sink(self, uint32_t at, Due due) noexcept nogil:
        cdef uint32_t child
        while True:
            child = 2 * at + 1
            if child >= self._heap_size:
                break
            if child + 1 < self._heap_size and self._heap[child + 1].at_us < self._heap[child].at_us:
                child += 1
            if due.at_us <= self._heap[child].at_us:
                break
            self._heap[at] = self._heap[child]
            at = child
        self._heap[at] = due

    cdef void _compact(self) noexcept nogil:
        """Drops entries of decided probes once they are the greater part."""
        cdef uint32_t kept = 0, at
        if self._heap_size < 1024 or self._heap_size < 2 * self._busy:
            return
        for at in range(self._heap_size):
            if self._is_live(&self._heap[at]):
                self._heap[kept] = self._heap[at]
                kept += 1
        self._heap_size = kept
        at = kept // 2
        while at:
            at -= 1
            self._sink(at, self._heap[at])

    cdef void _end(self) noexcept:
        cdef uint32_t at
        for at in range(self._capacity):
            if self._slots[at].busy:
                self._release(at)
        for at in range(self._result_count):
            free(self._results[at].reply)
        self._result_count = self._capacity = self._heap_size = self._heap_capacity = self._result_capacity = 0
        self._free = TIMER
        if self._timer >= 0:
            close(self._timer)
        if self._epoll >= 0:
            close(self._epoll)
        self._timer = self._epoll = -1
        free(self._slots)
        free(self._heap)
        free(self._results)
        free(self._buffer)
        self._slots = NULL
        self._heap = NULL
        self._results = NULL
        self._buffer = NULL


cdef bint has_port(const uint8_t *address) noexcept nogil:
    return address[2] != 0 or address[3] != 0


cdef int read_ask(object ask, Ask *into) except -1:
    """A request tuple in C. The payload is borrowed: the caller's list keeps it alive until the start is done."""
    token, kind, target, timeout_us, source, mark, device, payload, want, sequence, fd = ask
    cdef bytes target_bytes = target, source_bytes = source, device_bytes = device, payload_bytes = payload
    memset(into, 0, sizeof(Ask))
    if not 16 <= PyBytes_GET_SIZE(target_bytes) <= ADDRESS_BYTES or PyBytes_GET_SIZE(source_bytes) > ADDRESS_BYTES:
        raise ValueError("no socket address")
    if PyBytes_GET_SIZE(device_bytes) >= DEVICE_BYTES:
        raise ValueError("the name of the interface is too long")
    if not K_TCP <= kind <= K_PING or (kind == K_PING and fd < 0):
        raise ValueError("no such kind of probe, or no socket for it")
    into.token = token
    into.kind = kind
    into.timeout_us = timeout_us
    into.target_size = <uint32_t>PyBytes_GET_SIZE(target_bytes)
    memcpy(into.target, PyBytes_AS_STRING(target_bytes), into.target_size)
    into.source_size = <uint32_t>PyBytes_GET_SIZE(source_bytes)
    memcpy(into.source, PyBytes_AS_STRING(source_bytes), into.source_size)
    memcpy(into.device, PyBytes_AS_STRING(device_bytes), PyBytes_GET_SIZE(device_bytes))
    into.mark = mark
    into.want = min(want, MOST_REPLY)
    into.sequence = sequence
    into.fd = fd
    into.payload = <const uint8_t *>PyBytes_AS_STRING(payload_bytes)
    into.payload_size = PyBytes_GET_SIZE(payload_bytes)
    return 0
