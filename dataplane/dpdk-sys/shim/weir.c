#include "weir.h"

#include <string.h>

_Static_assert(WEIR_BURST <= 64, "weir_burst.segmented has a bit for each frame");

void weir_rx_burst(uint16_t port, uint16_t queue, int timestamp_offset, struct weir_burst *burst)
{
	uint16_t count = rte_eth_rx_burst(port, queue, burst->mbufs, WEIR_BURST);
	uint64_t segmented = 0;

	for (uint16_t i = 0; i < count; i++) {
		const struct rte_mbuf *mbuf = burst->mbufs[i];
		struct weir_frame *frame = &burst->frames[i];

		frame->data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
		rte_prefetch0(frame->data);
		frame->timestamp = timestamp_offset < 0
			? 0
			: *RTE_MBUF_DYNFIELD(mbuf, timestamp_offset, const rte_mbuf_timestamp_t *);
		frame->flags = mbuf->ol_flags;
		frame->data_len = mbuf->data_len;
		frame->packet_len = mbuf->pkt_len;
		frame->vlan = mbuf->vlan_tci;
		frame->segments = mbuf->nb_segs;
		segmented |= (uint64_t)(mbuf->next != NULL) << i;
	}
	burst->segmented = segmented;
	burst->count = count;
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
