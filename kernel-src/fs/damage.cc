#include "fs/damage.hh"

#include "core/log.hh"
#include "core/spinlock.hh"

namespace kiln {
namespace {

struct damage_record {
    spinlock lock;
    sentence latest;
};
constinit damage_record record;

std::string_view words_for(err error) {
    switch (error) {
        case err::noent: return "there is no such file";
        case err::notdir: return "a part of the path is no directory";
        case err::isdir: return "it is a directory";
        case err::loop: return "too many symbolic links";
        case err::nametoolong: return "the path is too long";
        case err::nomem: return "out of memory";
        case err::nospc: return "no space is left";
        case err::fbig: return "the file is too large";
        default: return {};
    }
}

bool is_news(std::string_view what) {
    lock_guard guard(record.lock);
    if (record.latest.view() == what) {
        return false;
    }
    record.latest.set("{}", what);
    return true;
}

}  // namespace

void note_damage(std::string_view what) {
    if (is_news(what)) {
        log_error("{}", what);
    }
}

sentence last_damage() {
    lock_guard guard(record.lock);
    return record.latest;
}

void add_reason(sentence& to, err error) {
    const sentence damage = last_damage();
    if ((error == err::io || error == err::inval) && !damage.empty()) {
        to.add(": {}", damage);
    } else if (const std::string_view words = words_for(error); !words.empty()) {
        to.add(": {}", words);
    } else {
        to.add(" (error {})", error);
    }
}

}  // namespace kiln
