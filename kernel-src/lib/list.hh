// Intrusive doubly linked list. An object can be on several lists through several `list_node`
// members; a list owns nothing. Insertion and removal are O(1). Not locked: the owner's lock guards.
//
//   struct waiter { list_node link; };
//   list<waiter, &waiter::link> waiters;
#pragma once

#include <iterator>

#include "lib/types.hh"

namespace kiln {

struct list_node : noncopyable {
    list_node* next = nullptr;
    list_node* prev = nullptr;

    bool linked() const { return next != nullptr; }

    // Takes the node off whatever list it is on.
    void unlink() {
        next->prev = prev;
        prev->next = next;
        next = prev = nullptr;
    }

    void insert_before(list_node& position) {
        next = &position;
        prev = position.prev;
        prev->next = this;
        position.prev = this;
    }
};

// The object that holds `node` as its member `Member`.
template <auto Member>
struct member_traits;
template <class T, class M, M T::*Member>
struct member_traits<Member> {
    static T* object(M* member) {
        alignas(T) static constexpr char probe[sizeof(T)] = {};
        const T* fake = reinterpret_cast<const T*>(probe);
        const auto offset = reinterpret_cast<const char*>(&(fake->*Member)) - probe;
        return reinterpret_cast<T*>(reinterpret_cast<char*>(member) - offset);
    }
};

template <class T, list_node T::*Member>
class list : noncopyable {
public:
    constexpr list() { _head.next = _head.prev = &_head; }

    bool empty() const { return _head.next == &_head; }
    void push_back(T& object) { (object.*Member).insert_before(_head); }
    void push_front(T& object) { (object.*Member).insert_before(*_head.next); }
    void insert_before(T& position, T& object) { (object.*Member).insert_before(position.*Member); }
    static void remove(T& object) { (object.*Member).unlink(); }

    T* front() const { return empty() ? nullptr : from(_head.next); }
    T* back() const { return empty() ? nullptr : from(_head.prev); }
    T* pop_front() {
        T* first = front();
        if (first != nullptr) {
            remove(*first);
        }
        return first;
    }
    T* pop_back() {
        T* last = back();
        if (last != nullptr) {
            remove(*last);
        }
        return last;
    }
    T* next(T& object) const {
        list_node* node = (object.*Member).next;
        return node == &_head ? nullptr : from(node);
    }
    T* prev(T& object) const {
        list_node* node = (object.*Member).prev;
        return node == &_head ? nullptr : from(node);
    }
    // Moves everything from `other` to the end of this list.
    void splice_back(list& other) {
        while (T* object = other.pop_front()) {
            push_back(*object);
        }
    }

    // The element just visited may be removed while iterating.
    class iterator {
    public:
        explicit iterator(list_node* node) : _node(node), _next(node->next) {}
        T& operator*() const { return *from(_node); }
        T* operator->() const { return from(_node); }
        iterator& operator++() {
            _node = _next;
            _next = _node->next;
            return *this;
        }
        bool operator!=(const iterator& other) const { return _node != other._node; }

    private:
        list_node* _node;
        list_node* _next;
    };
    iterator begin() { return iterator(_head.next); }
    iterator end() { return iterator(&_head); }

private:
    static T* from(list_node* node) { return member_traits<Member>::object(node); }

    list_node _head;
};

}  // namespace kiln
