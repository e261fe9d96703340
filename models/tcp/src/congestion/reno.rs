//! Reno: RFC 5681 as `net/ipv4/tcp_cong.c` does it.

use super::Window;

/// Half the window, at least two segments.
pub(super) fn ssthresh(window: &Window) -> u32 {
    (window.cwnd >> 1).max(2)
}

/// Slow start, then one segment per window.
pub(super) fn grow(window: &mut Window, acked: u32) {
    let mut acked = acked;
    if window.in_slow_start() {
        acked = window.slow_start(acked);
        if acked == 0 {
            return;
        }
    }
    window.additive_increase(window.cwnd, acked);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_start_counts_acknowledged_segments_and_the_rest_counts_for_avoidance() {
        let mut window = Window {
            cwnd: 10,
            ssthresh: 14,
            credit: 0,
        };
        grow(&mut window, 2);
        assert_eq!(window.cwnd, 12);
        grow(&mut window, 16);
        assert_eq!((window.cwnd, window.credit), (15, 0));
    }

    #[test]
    fn avoidance_adds_one_segment_per_window() {
        let mut window = Window {
            cwnd: 20,
            ssthresh: 20,
            credit: 0,
        };
        for _ in 0..10 {
            grow(&mut window, 2);
        }
        assert_eq!((window.cwnd, window.credit), (21, 0));
        assert_eq!(ssthresh(&window), 10);
        assert_eq!(ssthresh(&Window::new(1)), 2);
    }
}
