#define WEIR_INJECT
#include "weir.h"

#include <rte_ring.h>

int weir_inject(const char *ring, struct rte_mempool *pool, const uint8_t *bytes, uint32_t len,
		uint16_t segment, uint64_t flags, uint16_t vlan)
{
	struct rte_ring *to = rte_ring_lookup(ring);
	struct rte_mbuf *head = NULL;

	if (to == NULL)
		return -ENOENT;
	do {
		uint16_t part = RTE_MIN((uint32_t)segment, len);
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		char *room = mbuf == NULL ? NULL : rte_pktmbuf_append(mbuf, part);

		if (room == NULL) {
			rte_pktmbuf_free(mbuf);
			rte_pktmbuf_free(head);
			return -ENOMEM;
		}
		memcpy(room, bytes, part);
		if (head == NULL)
			head = mbuf;
		else
			rte_pktmbuf_chain(head, mbuf);
		bytes += part;
		len -= part;
	} while (len > 0);
	head->ol_flags |= flags;
	head->vlan_tci = vlan;
	if (rte_ring_enqueue(to, head) != 0) {
		rte_pktmbuf_free(head);
		return -ENOBUFS;
	}
	return 0;
}

uint16_t weir_inject_burst(const char *ring, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rte_ring *to = rte_ring_lookup(ring);

	return to == NULL ? 0 : rte_ring_enqueue_burst(to, (void **)mbufs, count, NULL);
}
