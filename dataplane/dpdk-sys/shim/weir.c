#include "weir.h"

#include <stdbool.h>
#include <string.h>

_Static_assert(WEIR_BURST <= 64, "weir_burst.segmented has a bit for each frame");

static inline void describe(const struct rte_mbuf *mbuf, struct weir_frame *frame)
{
	frame->data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	rte_prefetch0(frame->data);
	frame->flags = mbuf->ol_flags;
	frame->data_len = mbuf->data_len;
	frame->packet_len = mbuf->pkt_len;
	frame->vlan = mbuf->vlan_tci;
	frame->segments = mbuf->nb_segs;
	frame->tag = mbuf->port;
}

void weir_rx_burst(uint16_t port, uint16_t queue, int timestamp_offset, uint16_t tag,
		struct weir_burst *burst)
{
	uint16_t count = rte_eth_rx_burst(port, queue, burst->mbufs, WEIR_BURST);
	const struct rte_mempool *pool = count == 0 ? NULL : burst->mbufs[0]->pool;
	uint64_t segmented = 0;
	uint64_t flags = 0;
	bool own = true;

	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = burst->mbufs[i];

		mbuf->port = tag;
		describe(mbuf, &burst->frames[i]);
		burst->frames[i].timestamp = timestamp_offset < 0
			? 0
			: *RTE_MBUF_DYNFIELD(mbuf, timestamp_offset, const rte_mbuf_timestamp_t *);
		segmented |= (uint64_t)(mbuf->nb_segs > 1) << i;
		flags |= mbuf->ol_flags;
		own &= mbuf->pool == pool && rte_mbuf_refcnt_read(mbuf) == 1;
	}
	burst->segmented = segmented;
	burst->count = count;
	flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	burst->plain = own && segmented == 0 && flags == 0;
}

void weir_give_back(struct weir_burst *burst)
{
	if (burst->plain && burst->count > 0)
		rte_mempool_put_bulk(burst->mbufs[0]->pool, (void *const *)burst->mbufs,
				     burst->count);
	else
		rte_pktmbuf_free_bulk(burst->mbufs, burst->count);
	burst->count = 0;
}

void weir_describe(struct weir_burst *burst, uint16_t count)
{
	uint64_t segmented = 0;

	/* They come from another core's cache, each some time away. */
	for (uint16_t i = 0; i < count; i++)
		rte_prefetch0(burst->mbufs[i]);
	for (uint16_t i = 0; i < count; i++) {
		describe(burst->mbufs[i], &burst->frames[i]);
		segmented |= (uint64_t)(burst->mbufs[i]->nb_segs > 1) << i;
	}
	burst->segmented = segmented;
	burst->count = count;
	burst->plain = 0;
}

uint32_t weir_copy_whole(const struct rte_mbuf *mbuf, uint8_t *to, uint32_t room)
{
	uint32_t copied = 0;

	/* The chain says how long it is: a driver's pkt_len may promise more than it holds. */
	for (; mbuf != NULL && copied < room; mbuf = mbuf->next) {
		uint32_t len = RTE_MIN((uint32_t)mbuf->data_len, room - copied);

		memcpy(to + copied, rte_pktmbuf_mtod(mbuf, const uint8_t *), len);
		copied += len;
	}
	return copied;
}

int weir_errno(void)
{
	return rte_errno;
}

unsigned int weir_lcore_id(void)
{
	return rte_lcore_id();
}
