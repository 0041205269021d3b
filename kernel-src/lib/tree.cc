#include "lib/tree.hh"

#include <algorithm>

namespace kiln {
namespace {

i32 height_of(const tree_node* node) {
    return node == nullptr ? 0 : node->height;
}

void update_height(tree_node* node) {
    node->height = 1 + std::max(height_of(node->left), height_of(node->right));
}

i32 balance_of(const tree_node* node) {
    return height_of(node->left) - height_of(node->right);
}

}  // namespace

tree_node* tree_base::next(tree_node* node) {
    if (node->right != nullptr) {
        node = node->right;
        while (node->left != nullptr) {
            node = node->left;
        }
        return node;
    }
    while (node->parent != nullptr && node->parent->right == node) {
        node = node->parent;
    }
    return node->parent;
}

tree_node* tree_base::prev(tree_node* node) {
    if (node->left != nullptr) {
        node = node->left;
        while (node->right != nullptr) {
            node = node->right;
        }
        return node;
    }
    while (node->parent != nullptr && node->parent->left == node) {
        node = node->parent;
    }
    return node->parent;
}

tree_node* tree_base::leftmost() const {
    tree_node* node = _root;
    while (node != nullptr && node->left != nullptr) {
        node = node->left;
    }
    return node;
}

tree_node* tree_base::rightmost() const {
    tree_node* node = _root;
    while (node != nullptr && node->right != nullptr) {
        node = node->right;
    }
    return node;
}

void tree_base::replace_child(tree_node* parent, tree_node* old_child, tree_node* new_child) {
    if (parent == nullptr) {
        _root = new_child;
    } else if (parent->left == old_child) {
        parent->left = new_child;
    } else {
        parent->right = new_child;
    }
    if (new_child != nullptr) {
        new_child->parent = parent;
    }
}

tree_node* tree_base::rotate_left(tree_node* node) {
    tree_node* pivot = node->right;
    replace_child(node->parent, node, pivot);
    node->right = pivot->left;
    if (node->right != nullptr) {
        node->right->parent = node;
    }
    pivot->left = node;
    node->parent = pivot;
    update_height(node);
    update_height(pivot);
    return pivot;
}

tree_node* tree_base::rotate_right(tree_node* node) {
    tree_node* pivot = node->left;
    replace_child(node->parent, node, pivot);
    node->left = pivot->right;
    if (node->left != nullptr) {
        node->left->parent = node;
    }
    pivot->right = node;
    node->parent = pivot;
    update_height(node);
    update_height(pivot);
    return pivot;
}

void tree_base::rebalance_from(tree_node* node) {
    while (node != nullptr) {
        const i32 old_height = node->height;
        update_height(node);
        if (balance_of(node) > 1) {
            if (balance_of(node->left) < 0) {
                rotate_left(node->left);
            }
            node = rotate_right(node);
        } else if (balance_of(node) < -1) {
            if (balance_of(node->right) > 0) {
                rotate_right(node->right);
            }
            node = rotate_left(node);
        } else if (node->height == old_height) {
            return;
        }
        node = node->parent;
    }
}

void tree_base::insert_at(tree_node* node, tree_node* parent, bool as_left) {
    node->parent = parent;
    node->left = node->right = nullptr;
    node->height = 1;
    if (parent == nullptr) {
        _root = node;
        return;
    }
    (as_left ? parent->left : parent->right) = node;
    rebalance_from(parent);
}

void tree_base::erase(tree_node* node) {
    tree_node* unbalanced = node->parent;
    if (node->left != nullptr && node->right != nullptr) {
        tree_node* successor = next(node);
        unbalanced = successor->parent == node ? successor : successor->parent;
        if (successor->parent != node) {
            replace_child(successor->parent, successor, successor->right);
            successor->right = node->right;
            successor->right->parent = successor;
        }
        successor->left = node->left;
        successor->left->parent = successor;
        replace_child(node->parent, node, successor);
        successor->height = node->height;  // what the parent has seen; rebalancing corrects it
    } else {
        replace_child(node->parent, node, node->left != nullptr ? node->left : node->right);
    }
    node->parent = node->left = node->right = nullptr;
    node->height = 0;
    rebalance_from(unbalanced);
}

}  // namespace kiln
