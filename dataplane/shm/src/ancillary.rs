//! One `recvmsg` with descriptors, in which none can leak.
//!
//! Safe wrappers give up when the kernel reports truncated control data, and with them goes
//! the only trace of the descriptors that had already arrived. A peer could provoke that at
//! will until this process has no descriptor left; so the message is taken apart here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{mem, ptr};

use nix::libc;

/// Most descriptors that the kernel lets one message carry (`SCM_MAX_FD`).
const MOST_FDS: usize = 253;

/// Aligned room for the control data of one message, with some to spare.
#[repr(C, align(16))]
struct Control([u8; 2048]);

const _: () = assert!(size_of::<Control>() >= 64 + MOST_FDS * size_of::<RawFd>());

/// Reads up to `into.len()` bytes without waiting, and takes every descriptor that came with
/// them, closed on exec, into `fds`. Answers 0 at the end of the stream. When this process has
/// no room for all of them the error is EMFILE, and `fds` has those that did arrive.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut control = Control([0; 2048]);
    let mut bytes = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: `msghdr` is plain data of C, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();

    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: `message` points to `bytes` and `control`, both alive and of the sizes it says, and
    // `bytes` to `into`, which is borrowed for writing.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;

    // SAFETY: after a successful call the kernel left `msg_controllen` bytes of well-formed
    // control messages in `control`, which these macros walk without leaving it.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    while !header.is_null() {
        // SAFETY: a header that is not null lies whole within `control`, properly aligned.
        let (level, kind, length) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len) };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the data of this header begins there; CMSG_LEN(0) only computes.
            let (data, empty) = unsafe { (libc::CMSG_DATA(header), libc::CMSG_LEN(0) as usize) };
            for index in 0..length.saturating_sub(empty) / size_of::<RawFd>() {
                // SAFETY: `length` covers this element, which may be unaligned; the kernel
                // installed the descriptor for this message, so that nobody else owns it.
                let fd = unsafe {
                    OwnedFd::from_raw_fd(ptr::read_unaligned(data.cast::<RawFd>().add(index)))
                };
                fds.push(fd);
            }
        }
        // SAFETY: as for the first header.
        header = unsafe { libc::CMSG_NXTHDR(&message, header) };
    }
    // The control data fits whatever a message may carry, so that nothing else truncates it.
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    Ok(count)
}
