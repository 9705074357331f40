/*
 * What Weir binds of DPDK: the calls in the allowlist of build.rs, and below the few that are
 * inline in DPDK's headers and so have no symbol to link against.
 */
#ifndef WEIR_DPDK_SHIM_H
#define WEIR_DPDK_SHIM_H

#include <stdint.h>

#include <rte_config.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_mempool.h>
#include <rte_version.h>

#define WEIR_BURST 64

/* DPDK spells these as function-like macros, which bindgen can't evaluate. */
static const uint64_t WEIR_RX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t WEIR_RX_OFFLOAD_TIMESTAMP = RTE_ETH_RX_OFFLOAD_TIMESTAMP;
static const uint64_t WEIR_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t WEIR_RSS_IP = RTE_ETH_RSS_IP;
static const uint64_t WEIR_RSS_UDP = RTE_ETH_RSS_UDP;
static const uint64_t WEIR_RSS_TCP = RTE_ETH_RSS_TCP;
static const uint64_t WEIR_RSS_GTPU = RTE_ETH_RSS_GTPU;
static const uint64_t WEIR_RSS_INNERMOST = RTE_ETH_RSS_LEVEL_INNERMOST;
static const uint64_t WEIR_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;

/* One received frame. `data` points at its first segment, `data_len` bytes of it. */
struct weir_frame {
	const uint8_t *data;
	uint64_t timestamp; /* The dynamic field; meaningless unless flags & timestamp_flag. */
	uint64_t flags;     /* The mbuf's ol_flags. */
	uint32_t data_len;
	uint32_t packet_len;
	uint16_t vlan;
	uint16_t segments;
	uint16_t tag; /* The mbuf's port, which weir_rx_burst writes over. */
};

/*
 * A burst: `count` mbufs, what is in them, and a bit for each one of several segments. It is plain
 * if all can go back to their pool as they are: of one pool, of one segment each, whose data is their
 * own, and nobody else's.
 */
struct weir_burst {
	struct rte_mbuf *mbufs[WEIR_BURST];
	struct weir_frame frames[WEIR_BURST];
	uint64_t segmented;
	uint16_t count;
	uint8_t plain;
};

/*
 * Receives up to WEIR_BURST frames and writes `tag` into each mbuf. `timestamp_offset` is the
 * offset of the dynamic field in an mbuf, or negative when no driver registered one.
 */
void weir_rx_burst(uint16_t port, uint16_t queue, int timestamp_offset, uint16_t tag,
		struct weir_burst *burst);

/* Frees what a burst has left, null where one was taken out; those of a plain burst unseen. */
void weir_give_back(struct weir_burst *burst);

/* Says what is in `count` mbufs that were received before; their time stamps are left alone. */
void weir_describe(struct weir_burst *burst, uint16_t count);

/* Copies a chain of segments to `to`, at most `room` bytes, and says how many. */
uint32_t weir_copy_whole(const struct rte_mbuf *mbuf, uint8_t *to, uint32_t room);

/* rte_errno and rte_lcore_id(), which are thread-local variables behind macros. */
int weir_errno(void);
unsigned int weir_lcore_id(void);

#ifdef WEIR_TRANSMIT
/* One frame to send. */
struct weir_tx_frame {
	const uint8_t *data;
	uint16_t len;
};

/*
 * Copies `count` frames to as many new mbufs. Returns 0, or negative and no mbuf when the pool has
 * not so many, or a frame is longer than one of them.
 */
int weir_tx_write(struct rte_mempool *pool, const struct weir_tx_frame *frames,
		  struct rte_mbuf **mbufs, uint16_t count);

/* Offers mbufs to the port's first queue. Returns how many of them it took. */
uint16_t weir_tx_burst(uint16_t port, struct rte_mbuf **mbufs, uint16_t count);
#endif

#ifdef WEIR_INJECT
/*
 * Puts one frame, cut into segments of `segment` bytes, into the named ring. Returns 0, or
 * negative when there is no such ring, no room in it or no mbuf left.
 */
int weir_inject(const char *ring, struct rte_mempool *pool, const uint8_t *bytes, uint32_t len,
		uint16_t segment, uint64_t flags, uint16_t vlan);

/* Puts mbufs into the named ring. Returns how many of them there was room for: the first so many. */
uint16_t weir_inject_burst(const char *ring, struct rte_mbuf **mbufs, uint16_t count);
#endif

#endif
