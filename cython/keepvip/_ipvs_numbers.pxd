# The numbers of the protocol: <linux/netlink.h>, <linux/genetlink.h> and <linux/ip_vs.h>.

cdef enum:
    NLMSG_NOOP = 1
    NLMSG_ERROR = 2
    NLMSG_DONE = 3
    NLMSG_HEADER = 16
    GENL_HEADER = 4
    GENL_VERSION = 1
    GENL_ID_CTRL = 16
    CTRL_NEWFAMILY = 1
    CTRL_GETFAMILY = 3
    CTRL_ATTR_ID = 1
    CTRL_ATTR_NAME = 2
    NLA_TYPE_MASK = 0x3FFF
    NLA_F_NESTED = 0x8000
    AF_INET = 2
    AF_INET6 = 10
    UNION_ADDRESS = 16
    NAME_MAX = 15

cdef enum:  # IPVS_CMD_*
    CMD_NEW_SERVICE = 1
    CMD_NEW_DEST = 5
    CMD_NEW_DAEMON = 9
    CMD_SET_CONFIG = 12
    CMD_SET_INFO = 14

cdef enum:  # kinds of records that are no command
    ACK = -1
    DONE = -2
    FAMILY = -3

cdef enum:  # IPVS_CMD_ATTR_*
    CMD_ATTR_SERVICE = 1
    CMD_ATTR_DEST = 2
    CMD_ATTR_DAEMON = 3
    CMD_ATTR_TCP = 4
    CMD_ATTR_TCP_FIN = 5
    CMD_ATTR_UDP = 6

cdef enum:  # IPVS_SVC_ATTR_*
    SVC_AF = 1
    SVC_PROTOCOL = 2
    SVC_ADDR = 3
    SVC_PORT = 4
    SVC_FWMARK = 5
    SVC_SCHED = 6
    SVC_FLAGS = 7
    SVC_TIMEOUT = 8
    SVC_NETMASK = 9
    SVC_STATS = 10
    SVC_PE = 11
    SVC_STATS64 = 12

cdef enum:  # IPVS_DEST_ATTR_*
    DEST_ADDR = 1
    DEST_PORT = 2
    DEST_METHOD = 3
    DEST_WEIGHT = 4
    DEST_UPPER = 5
    DEST_LOWER = 6
    DEST_ACTIVE = 7
    DEST_INACTIVE = 8
    DEST_PERSISTENT = 9
    DEST_STATS = 10
    DEST_FAMILY = 11
    DEST_STATS64 = 12
    DEST_TUN_TYPE = 13
    DEST_TUN_PORT = 14
    DEST_TUN_FLAGS = 15

cdef enum:  # IPVS_DAEMON_ATTR_*
    DAEMON_STATE = 1
    DAEMON_IFN = 2
    DAEMON_ID = 3
    DAEMON_MAXLEN = 4
    DAEMON_GROUP = 5
    DAEMON_GROUP6 = 6
    DAEMON_PORT = 7
    DAEMON_TTL = 8

cdef enum:
    STATS_INBYTES = 4
    STATS_OUTBYTES = 5
    STATS_COUNT = 10
    INFO_VERSION = 1
    INFO_TABLE = 2
