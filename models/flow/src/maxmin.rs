//! Max-min fair rates: nobody's can rise without lowering one that is no larger (Bertsekas and Gallager, *Data
//! Networks*, section 6.5.2). Found by filling all flows evenly and stopping each at its own limit or at the
//! first link that is full.

/// What a flow asks for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Demand<'a> {
    /// Most that it can use.
    pub cap: f64,
    /// The links that it crosses, by index, each once.
    pub links: &'a [u32],
}

/// What a flow gets.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Share {
    /// Its rate.
    pub rate: f64,
    /// The full link that stops it; `None` if its own limit does.
    pub bottleneck: Option<u32>,
}

/// Finds fair rates, and keeps its working memory between calls.
#[derive(Clone, Debug, Default)]
pub struct Solver {
    /// By link: what is left, and how many flows still grow.
    links: Vec<Filling>,
    /// Links that the flows cross, each once.
    touched: Vec<u32>,
    /// Flows that still grow.
    growing: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Filling {
    left: f64,
    growing: u32,
}

impl Solver {
    /// Writes the share of each flow to `shares`, in the order of `demands`. `capacity` gives that of a link; all
    /// numbers have one unit.
    pub fn solve<'a>(
        &mut self,
        demands: impl Iterator<Item = Demand<'a>> + Clone,
        capacity: impl Fn(u32) -> f64,
        shares: &mut Vec<Share>,
    ) {
        shares.clear();
        self.growing.clear();
        for (flow, demand) in (0..).zip(demands.clone()) {
            shares.push(Share::default());
            if demand.cap > 0.0 {
                self.growing.push(flow);
                self.touch(demand.links, &capacity);
            }
        }
        let demands: Vec<Demand<'a>> = demands.collect();
        while !self.growing.is_empty() {
            let fullest = self.fullest();
            let Some((link, level)) = fullest else {
                for &flow in &self.growing {
                    shares[flow as usize].rate = demands[flow as usize].cap;
                }
                break;
            };
            let limited = self
                .growing
                .iter()
                .any(|&flow| demands[flow as usize].cap <= level);
            let growing = std::mem::take(&mut self.growing);
            for &flow in &growing {
                let Demand { cap, links } = demands[flow as usize];
                let share = if limited {
                    (cap <= level).then_some(Share {
                        rate: cap,
                        bottleneck: None,
                    })
                } else {
                    links.contains(&link).then_some(Share {
                        rate: level,
                        bottleneck: Some(link),
                    })
                };
                let Some(share) = share else {
                    self.growing.push(flow);
                    continue;
                };
                shares[flow as usize] = share;
                for &link in links {
                    let filling = &mut self.links[link as usize];
                    filling.left = (filling.left - share.rate).max(0.0);
                    filling.growing -= 1;
                }
            }
        }
        for link in self.touched.drain(..) {
            self.links[link as usize] = Filling::default();
        }
    }

    fn touch(&mut self, links: &[u32], capacity: &impl Fn(u32) -> f64) {
        for &link in links {
            let index = link as usize;
            if self.links.len() <= index {
                self.links.resize(index + 1, Filling::default());
            }
            let filling = &mut self.links[index];
            if filling.growing == 0 {
                filling.left = capacity(link);
                self.touched.push(link);
            }
            filling.growing += 1;
        }
    }

    /// The link that fills first when all flows grow evenly, and the rate at which it does.
    fn fullest(&self) -> Option<(u32, f64)> {
        let mut fullest: Option<(u32, f64)> = None;
        for &link in &self.touched {
            let Filling { left, growing } = self.links[link as usize];
            if growing > 0 {
                let level = left / f64::from(growing);
                if fullest.is_none_or(|(_, lowest)| level < lowest) {
                    fullest = Some((link, level));
                }
            }
        }
        fullest
    }
}
