//! Which NUMA node a core is of: a worker far from its port fetches every frame over the link
//! between the sockets.

use std::path::Path;

/// Where the kernel describes cores.
pub(crate) const CORES: &str = "/sys/devices/system/cpu";

/// The node of a core, by its directory's `node<N>`; none where the kernel does not say.
pub(crate) fn node_of(cores: &Path, core: usize) -> Option<u16> {
    let entries = std::fs::read_dir(cores.join(format!("cpu{core}"))).ok()?;
    entries
        .filter_map(Result::ok)
        .find_map(|entry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok())
}

/// What is to be said of threads on these cores that take frames of a port on `node`.
pub(crate) fn warnings(
    cores: &Path,
    port: &str,
    node: Option<u16>,
    threads: &[usize],
) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let far = |core: &usize| node_of(cores, *core).filter(|of| *of != node);
    let warning = |core: &usize| {
        far(core).map(|of| {
            format!(
                "core {core} is on NUMA node {of}, port {port} on node {node}; [sensor]; \
                 name cores of node {node}"
            )
        })
    };
    threads.iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_far_from_its_port_is_warned_of() {
        let cores = tempfile::tempdir().unwrap();
        for (core, node) in [(0, 0), (1, 0), (12, 1)] {
            let directory = cores.path().join(format!("cpu{core}"));
            std::fs::create_dir_all(directory.join(format!("node{node}"))).unwrap();
            std::fs::create_dir(directory.join("topology")).unwrap();
            std::fs::write(directory.join("uevent"), "").unwrap();
        }
        std::fs::create_dir(cores.path().join("cpu2")).unwrap();
        let node = |core| node_of(cores.path(), core);
        assert_eq!([0, 1, 12, 2, 3].map(node), [Some(0), Some(0), Some(1), None, None]);
        let said = |of, threads: &[usize]| warnings(cores.path(), "0000:3b:00.0", of, threads);
        let expected = "core 12 is on NUMA node 1, port 0000:3b:00.0 on node 0; [sensor]; \
                        name cores of node 0";
        assert_eq!(said(Some(0), &[0, 1, 2, 12]), [expected]);
        assert_eq!(said(Some(1), &[0, 1]).len(), 2);
        assert_eq!(said(None, &[0, 12]), [""; 0], "a virtual device is nowhere");
    }
}
