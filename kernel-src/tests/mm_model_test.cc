// Random operations on an address space, against a model that knows each page by itself.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>

#include "mm/address_space.hh"
#include "tests/host/memory.hh"

namespace kiln {
namespace {

constexpr u64 base = 0x7f00'0000'0000;
constexpr u64 page_total = 2048;  // four large pages
constexpr u64 file_pages = 512;

u64 file_word(u64 index) {
    return 0xf11e'0000'0000'0000 | index;
}

// A file whose pages hold their number; what is written through shared mappings stays.
class test_object final : public vm_object {
public:
    ~test_object() override {
        for (page* cached : _pages) {
            if (cached != nullptr) {
                drop_page_reference(*cached);
            }
        }
    }
    result<page*> get_page(u64 index, bool) override {
        if (index >= file_pages) {
            return err::range;
        }
        if (_pages[index] == nullptr) {
            _pages[index] = TRY(alloc_zeroed_page());
            *static_cast<u64*>(page_data(*_pages[index])) = file_word(index);
        }
        add_page_reference(*_pages[index]);
        return _pages[index];
    }
    page* peek_page(u64 index) override {
        page* cached = index < file_pages ? _pages[index] : nullptr;
        if (cached != nullptr) {
            add_page_reference(*cached);
        }
        return cached;
    }
    u64 size() const override { return file_pages * page_size; }

private:
    std::array<page*, file_pages> _pages{};
};

struct model_page {
    bool mapped = false;
    u32 protection = 0;
    bool shared = false;
    std::optional<u64> file_index;  // no value: anonymous
    std::optional<u64> own;         // what a private page holds once written
};

class model_test : public testing::TestWithParam<u32> {
protected:
    model_test() : _free_before(memory_now().free_pages), _root(host::make_root_table()) {
        _object = make_ref<test_object>().take();
        _space.emplace();
        _space->start(_root);
        _random.seed(GetParam());
        for (u64 i = 0; i < file_pages; ++i) {
            _file[i] = file_word(i);
        }
    }
    ~model_test() override {
        _space.reset();
        host::free_root_table(_root);
        _object = nullptr;
        // One page may stay: the zero page.
        EXPECT_GE(memory_now().free_pages + 1, _free_before);
    }

    u64 pick(u64 limit) { return _random() % limit; }
    u64 address(u64 index) { return base + index * page_size; }
    u64 pick_length(u64 index) {
        const u64 most = pick(4) == 0 ? page_total : 40;
        return 1 + pick(std::min(most, page_total - index));
    }

    u64 expected_word(const model_page& at) {
        if (at.own) {
            return *at.own;
        }
        return at.file_index ? _file[*at.file_index] : 0;
    }

    void map_some() {
        const u64 index = pick(page_total), length = pick_length(index);
        map_request request;
        request.address = address(index);
        request.length = length * page_size;
        request.protection = static_cast<u32>(pick(8));
        request.where = placement::fixed;
        const bool is_file = pick(2) == 0 && length < file_pages;
        const u64 first = is_file ? pick(file_pages - length) : 0;
        const bool shared = is_file && pick(2) == 0;
        if (is_file) {
            request.object = ref<vm_object>(_object);
            request.offset = first * page_size;
            request.flags = shared ? vma_flag::shared : 0;
        }
        const u32 protection = request.protection;
        ASSERT_TRUE(_space->map(std::move(request)).ok());
        for (u64 i = 0; i < length; ++i) {
            model_page fresh{true, protection, shared, std::nullopt, std::nullopt};
            if (is_file) {
                fresh.file_index = first + i;
            }
            _model[index + i] = fresh;
        }
    }

    void unmap_some() {
        const u64 index = pick(page_total), length = pick_length(index);
        ASSERT_TRUE(_space->unmap(address(index), length * page_size).ok());
        for (u64 i = index; i < index + length; ++i) {
            _model[i] = {};
        }
    }

    void protect_some() {
        const u64 index = pick(page_total), length = pick_length(index);
        const u32 protection = static_cast<u32>(pick(8));
        const auto outcome = _space->protect(address(index), length * page_size, protection);
        for (u64 i = index; i < index + length; ++i) {
            if (!_model[i].mapped) {
                ASSERT_EQ(outcome.error(), err::nomem);
                return;
            }
            _model[i].protection = protection;
        }
        ASSERT_TRUE(outcome.ok());
    }

    void discard_some() {
        const u64 index = pick(page_total), length = pick_length(index);
        bool holes = false;
        for (u64 i = index; i < index + length; ++i) {
            holes |= !_model[i].mapped;
            _model[i].own.reset();
        }
        ASSERT_EQ(_space->discard(address(index), length * page_size).ok(), !holes);
    }

    void write_one() {
        const u64 index = pick(page_total);
        model_page& at = _model[index];
        const u64 value = _random();
        const auto outcome =
            _space->write_memory(address(index), std::as_bytes(std::span(&value, 1)));
        if (!at.mapped || (at.protection & prot::write) == 0) {
            ASSERT_EQ(outcome.error(), at.mapped ? err::acces : err::fault);
            return;
        }
        ASSERT_TRUE(outcome.ok());
        if (at.shared) {
            _file[*at.file_index] = value;
        } else {
            at.own = value;
        }
    }

    void read_one(u64 index) {
        const model_page& at = _model[index];
        u64 value = 0;
        const auto outcome =
            _space->read_memory(address(index), std::as_writable_bytes(std::span(&value, 1)));
        if (!at.mapped || at.protection == 0) {
            ASSERT_EQ(outcome.error(), at.mapped ? err::acces : err::fault);
            return;
        }
        ASSERT_TRUE(outcome.ok());
        ASSERT_EQ(value, expected_word(at)) << "page " << index;
    }

    // The model's pages from `index` that lie in one area, as far as the model can know.
    bool same_area(u64 index, u64 length) {
        const model_page& first = _model[index];
        for (u64 i = 0; i < length; ++i) {
            const model_page& at = _model[index + i];
            if (!at.mapped || at.protection != first.protection || at.shared != first.shared ||
                at.file_index.has_value() != first.file_index.has_value() ||
                (at.file_index && *at.file_index != *first.file_index + i)) {
                return false;
            }
        }
        return true;
    }

    void remap_some() {
        const u64 index = pick(page_total);
        const u64 length = 1 + pick(std::min<u64>(page_total - index, 600));
        const u64 target = pick(page_total);
        const u64 wanted = 1 + pick(std::min<u64>(page_total - target, 600));
        constexpr u32 may_move = 1, fixed = 2;
        const bool overlap = index < target + wanted && target < index + length;
        const auto outcome = _space->remap(address(index), length * page_size, wanted * page_size,
                                           may_move | fixed, address(target));
        if (overlap) {
            ASSERT_EQ(outcome.error(), err::inval);
            return;
        }
        if (!same_area(index, length)) {
            ASSERT_EQ(outcome.error(), err::fault);
            return;
        }
        ASSERT_TRUE(outcome.ok()) << static_cast<int>(outcome.error());
        std::vector<model_page> moved(wanted);
        for (u64 i = 0; i < wanted; ++i) {
            moved[i] = i < length ? _model[index + i] : _model[index];
            if (i >= length) {
                moved[i].own.reset();
                if (moved[i].file_index) {
                    *moved[i].file_index += i;
                }
            }
        }
        for (u64 i = 0; i < length; ++i) {
            _model[index + i] = {};
        }
        std::copy(moved.begin(), moved.end(), _model.begin() + static_cast<i64>(target));
        unmap_beyond_file(target, wanted);
    }

    // The model does not follow what lies beyond the file.
    void unmap_beyond_file(u64 index, u64 length) {
        for (u64 i = index; i < index + length; ++i) {
            if (_model[i].file_index && *_model[i].file_index >= file_pages) {
                u64 value = 0;
                const auto outcome = _space->read_memory(
                    address(i), std::as_writable_bytes(std::span(&value, 1)));
                ASSERT_EQ(outcome.error(),
                          _model[i].protection == 0 ? err::acces : err::range);
                ASSERT_TRUE(_space->unmap(address(i), page_size).ok());
                _model[i] = {};
            }
        }
    }

    u64 _free_before;
    u64* _root;
    ref<test_object> _object;
    std::optional<address_space> _space;
    std::array<model_page, page_total> _model{};
    std::array<u64, file_pages> _file{};
    std::mt19937_64 _random;
};

TEST_P(model_test, random_operations) {
    constexpr int steps = 3000;
    for (int step = 0; step < steps; ++step) {
        switch (pick(16)) {
            case 0:
            case 1:
                map_some();
                break;
            case 2:
                unmap_some();
                break;
            case 3:
            case 4:
                protect_some();
                break;
            case 5:
                discard_some();
                break;
            case 6:
                remap_some();
                break;
            case 7:
            case 8:
            case 9:
            case 10:
            case 11:
                write_one();
                break;
            default:
                read_one(pick(page_total));
        }
        if (HasFatalFailure()) {
            FAIL() << "at step " << step;
        }
        if (step % 50 == 0) {
            _space->check();
        }
    }
    for (u64 i = 0; i < page_total; ++i) {
        read_one(i);
        ASSERT_FALSE(HasFatalFailure());
    }
    _space->check();
}

INSTANTIATE_TEST_SUITE_P(seeds, model_test, testing::Range(1u, 13u));

}  // namespace
}  // namespace kiln
