// Intrusive balanced search tree (AVL), ordered by a comparison on the objects themselves.
//
// For sets that are searched by neighbour: address ranges, run queues, timers. Insert, remove and
// find are O(log n) with no allocation; first() is O(log n). Duplicates are allowed and keep the
// order of insertion. Not locked: the owner's lock guards.
//
//   struct area { u64 start; tree_node node; };
//   struct by_start { bool operator()(const area& a, const area& b) const { ... } };
//   tree<area, &area::node, by_start> areas;
#pragma once

#include "lib/list.hh"
#include "lib/types.hh"

namespace kiln {

struct tree_node : noncopyable {
    tree_node* parent = nullptr;
    tree_node* left = nullptr;
    tree_node* right = nullptr;
    i32 height = 0;  // 0: not in a tree; a leaf has 1

    bool linked() const { return height != 0; }
};

// The untyped half, in tree.cc: knows shape, not order.
class tree_base : noncopyable {
public:
    bool empty() const { return _root == nullptr; }
    static tree_node* next(tree_node* node);
    static tree_node* prev(tree_node* node);

protected:
    void insert_at(tree_node* node, tree_node* parent, bool as_left);
    void erase(tree_node* node);
    tree_node* leftmost() const;
    tree_node* rightmost() const;

    tree_node* _root = nullptr;

private:
    void replace_child(tree_node* parent, tree_node* old_child, tree_node* new_child);
    tree_node* rotate_left(tree_node* node);
    tree_node* rotate_right(tree_node* node);
    void rebalance_from(tree_node* node);
};

template <class T, tree_node T::*Member, class Less>
class tree : public tree_base {
public:
    void insert(T& object) {
        tree_node* parent = nullptr;
        bool as_left = false;
        for (tree_node* at = _root; at != nullptr;) {
            parent = at;
            as_left = Less{}(object, *from(at));
            at = as_left ? at->left : at->right;
        }
        insert_at(&(object.*Member), parent, as_left);
    }
    void remove(T& object) { erase(&(object.*Member)); }

    T* first() const { return from(leftmost()); }
    T* last() const { return from(rightmost()); }
    static T* next(T& object) { return from(tree_base::next(&(object.*Member))); }
    static T* prev(T& object) { return from(tree_base::prev(&(object.*Member))); }

    // The first object for which `not_before(object)` holds; it must be false for a prefix of the
    // order and true for the rest.
    template <class Predicate>
    T* lower_bound(Predicate not_before) const {
        tree_node* best = nullptr;
        for (tree_node* at = _root; at != nullptr;) {
            if (not_before(static_cast<const T&>(*from(at)))) {
                best = at;
                at = at->left;
            } else {
                at = at->right;
            }
        }
        return from(best);
    }

private:
    static T* from(tree_node* node) {
        return node == nullptr ? nullptr : member_traits<Member>::object(node);
    }
};

}  // namespace kiln
