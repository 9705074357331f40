//! What a live sensor says of its machine at the start; `weir doctor` tells all of it.

use std::collections::BTreeSet;

/// Where the kernel tells which cores nothing else is scheduled on.
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

/// Says which workers' cores are not isolated, and whether DPDK has to do with ordinary pages.
pub(crate) fn remark(cores: &[usize], on_ordinary_pages: bool) {
    if on_ordinary_pages {
        eprintln!(
            "warning: DPDK's memory is ordinary pages, too slow for line rate; hugepages; \
             weir doctor tells how many are wanted"
        );
    }
    let Ok(isolated) = std::fs::read_to_string(ISOLATED) else { return };
    let open = open(cores, &isolated);
    if !open.is_empty() {
        let open: Vec<String> = open.iter().map(usize::to_string).collect();
        eprintln!(
            "warning: cores that poll are not isolated: {}; [sensor] workers; weir doctor tells the \
             boot options",
            open.join(", ")
        );
    }
}

/// Cores that are not in the kernel's list, which is written as `2-3,8`.
fn open(cores: &[usize], isolated: &str) -> BTreeSet<usize> {
    let within = |core: usize| {
        isolated.trim().split(',').any(|run| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let ends = (first.parse::<usize>(), last.parse::<usize>());
            matches!(ends, (Ok(first), Ok(last)) if (first..=last).contains(&core))
        })
    };
    cores.iter().copied().filter(|core| !within(*core)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_outside_of_the_kernels_list_are_open() {
        assert_eq!(open(&[2, 4, 8], "2-3,8\n"), BTreeSet::from([4]));
        assert_eq!(open(&[2], "\n"), BTreeSet::from([2]));
        assert_eq!(open(&[], "2-3"), BTreeSet::new());
    }
}
