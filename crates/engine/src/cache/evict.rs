//! What goes when memory is short. It must not know why it is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::Model;

use super::PrefixCache;
use crate::disk::Key;

impl PrefixCache {
    /// Lets pages go until the model holds at most `blocks` blocks; whether it does then. Of everything what was used longest ago
    /// goes first; sliding blocks that are not marked before whole nodes, and those that are marked last. Nothing goes that was used
    /// at the current tick: a path that is being looked up.
    pub(crate) fn make_room(&mut self, model: &mut dyn Model, blocks: usize) -> bool {
        model.kv_blocks_in_use() <= blocks
            || self.drop_sliding(model, blocks, false)
            || self.drop_nodes(model, blocks)
            || self.drop_sliding(model, blocks, true)
    }

    /// Drops sliding blocks, marked ones only when that is asked for.
    fn drop_sliding(&mut self, model: &mut dyn Model, blocks: usize, marked: bool) -> bool {
        let clock = self.clock;
        let may_go = |node: &super::Node| node.sliding.is_some() && node.marked == marked && node.used < clock;
        let mut candidates: Vec<(u64, Key)> =
            self.nodes.iter().filter(|(_, node)| may_go(node)).map(|(&key, node)| (node.used, key)).collect();
        candidates.sort_unstable();
        for (_, key) in candidates {
            if let Some(page) = self.nodes.get_mut(&key).and_then(|node| node.sliding.take()) {
                model.drop_page(page);
                self.stats.dropped_windows += 1;
            }
            if model.kv_blocks_in_use() <= blocks {
                return true;
            }
        }
        false
    }

    /// Drops nodes that no other needs, and so on towards the root.
    fn drop_nodes(&mut self, model: &mut dyn Model, blocks: usize) -> bool {
        let clock = self.clock;
        let may_go = |node: &super::Node| node.children == 0 && node.pins == 0 && node.used < clock;
        let mut leaves: BinaryHeap<Reverse<(u64, Key)>> =
            self.nodes.iter().filter(|(_, node)| may_go(node)).map(|(&key, node)| Reverse((node.used, key))).collect();
        while let Some(Reverse((_, key))) = leaves.pop() {
            let node = self.nodes.remove(&key).expect("it is a leaf");
            model.drop_page(node.full);
            node.sliding.into_iter().for_each(|page| model.drop_page(page));
            self.stats.evicted += 1;
            if let Some(parent) = node.parent {
                let left = self.nodes.get_mut(&parent).expect("a node's parent outlives it");
                left.children -= 1;
                if may_go(left) {
                    leaves.push(Reverse((left.used, parent)));
                }
            }
            if model.kv_blocks_in_use() <= blocks {
                return true;
            }
        }
        false
    }

    /// Lets everything go, for a test that nothing is leaked.
    #[cfg(test)]
    pub(crate) fn clear(&mut self, model: &mut dyn Model) {
        self.make_room(model, 0);
    }
}
