//! Finds libdpdk, compiles the shim over its inline functions and generates the bindings.
//!
//! There is no fallback: a build without the library would be a sensor that can't open a port.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

const OLDEST: &str = "22.11";
const TOO_NEW: &str = "24.11";
const INSTALL: &str = "apt-get install libdpdk-dev libclang-dev";

/// The libraries that the allowlist and the shim call. Drivers are plugins that EAL loads.
const LIBRARIES: [&str; 4] = ["rte_eal", "rte_mempool", "rte_mbuf", "rte_ethdev"];

const FUNCTIONS: [&str; 45] = [
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_strerror",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_eal_hotplug_add",
    "rte_pktmbuf_pool_create",
    "rte_pktmbuf_free_bulk",
    "rte_mempool_free",
    "rte_mempool_avail_count",
    "rte_mempool_in_use_count",
    "rte_mbuf_dynfield_lookup",
    "rte_mbuf_dynflag_lookup",
    "rte_eth_find_next",
    "rte_eth_dev_get_name_by_port",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_get_mtu",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_promiscuous_enable",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_get",
    "rte_eth_stats_get",
    "rte_eth_read_clock",
    "rte_eth_dev_rss_reta_update",
    "rte_flow_validate",
    "rte_flow_create",
    "rte_flow_destroy",
    "weir_errno",
    "weir_lcore_id",
    "weir_rx_burst",
    "weir_give_back",
    "weir_describe",
    "weir_copy_whole",
    "weir_inject",
    "weir_inject_burst",
    "weir_tx_write",
    "weir_tx_burst",
];

fn main() {
    println!("cargo:rerun-if-changed=shim/weir.h");
    println!("cargo:rerun-if-changed=shim/weir.c");
    println!("cargo:rerun-if-changed=shim/inject.c");
    println!("cargo:rerun-if-changed=shim/transmit.c");
    println!("cargo:rerun-if-env-changed=LIBCLANG_PATH");

    let dpdk = pkg_config::Config::new()
        .range_version(OLDEST..TOO_NEW)
        .cargo_metadata(false)
        .probe("libdpdk")
        .unwrap_or_else(|why| {
            stop(&format!("libdpdk >= {OLDEST}, < {TOO_NEW} not found by pkg-config\n{why}"))
        });
    for path in &dpdk.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    let includes: Vec<String> =
        dpdk.include_paths.iter().map(|path| format!("-I{}", path.display())).collect();
    let flags = compiler_flags();

    compile_shim(&includes, &flags);
    // After the shim, since a linker that reads left to right resolves the shim's calls from them.
    for library in LIBRARIES {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
    if injecting() {
        println!("cargo:rustc-link-lib=dylib=rte_ring");
    }
    generate_bindings(&includes, &flags);
}

/// The flags that DPDK's inline functions need and that the crate `pkg-config` does not report:
/// the instruction set and the configuration header.
fn compiler_flags() -> Vec<String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(["--cflags-only-other", "libdpdk"])
        .output()
        .unwrap_or_else(|why| stop(&format!("{program} --cflags-only-other libdpdk: {why}")));
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(String::from).collect()
}

fn injecting() -> bool {
    env::var_os("CARGO_FEATURE_INJECT").is_some()
}

fn transmitting() -> bool {
    env::var_os("CARGO_FEATURE_TRANSMIT").is_some()
}

fn compile_shim(includes: &[String], flags: &[String]) {
    let mut shim = cc::Build::new();
    shim.file("shim/weir.c");
    if injecting() {
        shim.file("shim/inject.c");
    }
    if transmitting() {
        shim.file("shim/transmit.c");
    }
    for flag in includes.iter().chain(flags) {
        shim.flag(flag);
    }
    // DPDK's headers are not ours to mend.
    shim.flag("-Wno-unused-parameter").opt_level(3).compile("weir_dpdk_shim");
}

fn generate_bindings(includes: &[String], flags: &[String]) {
    if let Err(why) = clang_sys::load() {
        stop(&format!("libclang, which reads DPDK's headers, not found\n{why}"));
    }
    let mut bindings = bindgen::Builder::default()
        .header("shim/weir.h")
        .clang_args(includes)
        .clang_args(flags)
        .allowlist_var(
            "WEIR_.*|RTE_MAX_LCORE|RTE_PKTMBUF_HEADROOM|RTE_ETH_NAME_MAX_LEN|RTE_MAX_ETHPORTS",
        )
        .allowlist_type("weir_burst|weir_frame|weir_tx_frame")
        .allowlist_type("rte_flow_(item_type|action_type|item_udp|action_queue|action_rss)")
        .opaque_type("rte_mbuf|rte_mempool|rte_device|rte_flow")
        .default_enum_style(bindgen::EnumVariation::ModuleConsts)
        .derive_default(true)
        .generate_comments(false)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .wrap_unsafe_ops(true);
    for function in FUNCTIONS {
        bindings = bindings.allowlist_function(function);
    }
    if injecting() {
        bindings = bindings.clang_arg("-DWEIR_INJECT");
    }
    if transmitting() {
        bindings = bindings.clang_arg("-DWEIR_TRANSMIT");
    }
    let bindings = bindings
        .generate()
        .unwrap_or_else(|why| stop(&format!("bindgen can't read DPDK's headers\n{why}")));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings
        .write_to_file(out.join("bindings.rs"))
        .unwrap_or_else(|why| stop(&format!("{}: {why}", out.display())));
}

fn stop(why: &str) -> ! {
    eprintln!(
        "error: {why}\nweir-dpdk-sys needs DPDK and libclang; on Debian or Ubuntu: {INSTALL}"
    );
    exit(1)
}
