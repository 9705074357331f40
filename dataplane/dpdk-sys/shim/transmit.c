#define WEIR_TRANSMIT
#include "weir.h"

#include <errno.h>
#include <string.h>

int weir_tx_write(struct rte_mempool *pool, const struct weir_tx_frame *frames,
		  struct rte_mbuf **mbufs, uint16_t count)
{
	if (rte_pktmbuf_alloc_bulk(pool, mbufs, count) != 0)
		return -ENOMEM;
	for (uint16_t i = 0; i < count; i++) {
		char *room = rte_pktmbuf_append(mbufs[i], frames[i].len);

		if (room == NULL) {
			rte_pktmbuf_free_bulk(mbufs, count);
			return -EMSGSIZE;
		}
		memcpy(room, frames[i].data, frames[i].len);
	}
	return 0;
}

uint16_t weir_tx_burst(uint16_t port, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, 0, mbufs, count);
}
