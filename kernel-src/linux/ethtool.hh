// What ethtool(8) asks of a network card: its driver, its link, and what each of its queues has moved.
#pragma once

#include "lib/result.hh"
#include "net/interface.hh"

namespace kiln {

// `argument`: where the command and its data are. err::opnotsupp for what is not known.
result<i64> ethtool_ioctl(net::interface& which, u64 argument);

}  // namespace kiln
