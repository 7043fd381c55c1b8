#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <pannier/platform.h>

/// Every bound of the runtime, in one place, tied together by compile-time checks (tigerbeetle `src/constants.zig`).
/// A bound that a program may change is a default here and a field of an options struct where it is used.
namespace pannier::limits {

// --- Names -------------------------------------------------------------------------------------------------------
inline constexpr std::size_t kNodeNameBytes = 64;
inline constexpr std::size_t kActorNameBytes = 64;
inline constexpr std::size_t kLaneNameBytes = 64;
inline constexpr std::size_t kKeyBytes = 255;
/// The text of why a row waits or is parked; a longer one is cut.
inline constexpr std::size_t kCauseBytes = 512;
inline constexpr std::size_t kStateKeyBytes = 255;
inline constexpr std::size_t kTopicBytes = 255;
inline constexpr std::size_t kTopicLevels = 16;

// --- Messages ----------------------------------------------------------------------------------------------------
/// The largest payload that leaves a process or goes to disk.
inline constexpr std::size_t kPayloadBytes = 256 * 1024;
/// The largest frame on a link; a peer that sends more is cut off before anything is parsed.
inline constexpr std::size_t kFrameBytes = 1024 * 1024;
/// A frame is closed and sent once it holds this much, so that an urgent message never waits behind more than one.
inline constexpr std::size_t kFrameTargetBytes = 32 * 1024;
/// Received bytes start at a multiple of this: FlatBuffers checks alignment only relative to the buffer.
inline constexpr std::size_t kPayloadAlignment = 16;
/// FlatBuffers verifier bounds; its defaults (64, 1,000,000) let a small buffer cost a long time.
inline constexpr std::size_t kVerifyDepth = 16;
inline constexpr std::size_t kVerifyTables = 1000;

// --- Actors ------------------------------------------------------------------------------------------------------
inline constexpr std::size_t kMailboxMessages = 1024;
inline constexpr std::size_t kMailboxBytes = 4 * 1024 * 1024;
/// Of all mailboxes, on top of the bound above: stop, down, replies, timers. A reply is bounded by its ask.
inline constexpr std::size_t kAsksInFlight = 65536;
/// Actors that wait for each other in one chain of questions.
inline constexpr std::size_t kAskChain = 16;
/// Supervisors that a report names above an actor.
inline constexpr std::size_t kPathDepth = 16;
/// Names of actors, here and elsewhere, that one node knows at once.
inline constexpr std::size_t kNames = 65536;
/// Of those that nobody holds, how many of one node are remembered: see Directory.
inline constexpr std::size_t kIdleNames = 4096;
/// Names that one actor holds. Those that it asked for before these may be forgotten.
inline constexpr std::size_t kNamesHeld = 256;
/// Messages one actor handles before the next one of its worker has its turn.
inline constexpr std::size_t kActorBatch = 64;
/// Messages a worker handles in one step before it looks at the clock, its inbox and its sockets again.
inline constexpr std::size_t kStepBatch = 4096;
inline constexpr std::size_t kWorkers = 64;

// --- Links -------------------------------------------------------------------------------------------------------
inline constexpr std::size_t kLinks = 4096;
inline constexpr Duration kHeartbeatInterval = std::chrono::seconds{2};
/// Nothing heard for this long: the peer is gone, whatever TCP believes.
inline constexpr Duration kHeartbeatTimeout = std::chrono::seconds{7};
inline constexpr Duration kHandshakeTimeout = std::chrono::seconds{5};
inline constexpr Duration kReconnectBase = std::chrono::milliseconds{100};
inline constexpr Duration kReconnectCap = std::chrono::seconds{30};
/// A link that ends sooner after a hello than this has not settled: the dialler keeps backing off.
inline constexpr Duration kLinkSettles = std::chrono::seconds{2};
/// The same for a link that ends in a refusal, or because a newer one took its place.
inline constexpr Duration kLinkProven = std::chrono::minutes{1};
/// Where a dialler's backoff starts after a refusal: a ceiling of 100 ms times 2 to this power.
inline constexpr std::uint32_t kRefusedFailures = 5;
/// A complaint about a link that repeats is logged once in so long, with how often it came.
inline constexpr Duration kComplaintInterval = std::chrono::minutes{10};
inline constexpr std::size_t kComplaints = 256;
/// The text of a goodbye; a longer one is cut.
inline constexpr std::size_t kGoodbyeBytes = 200;
/// Bytes of records that wait for one link, and those that one channel holds in process or simulated; past that a send
/// is refused. ZeroMQ counts frames instead: ZmqOptions::queue_frames.
inline constexpr std::size_t kLinkQueueBytes = 4 * 1024 * 1024;
/// On top, for records whose loss would cost the link: replies and filters.
inline constexpr std::size_t kLinkReserveBytes = 1024 * 1024;
/// On top, for what actors have told before they could know that a link is full: what the mailbox of the router holds.
inline constexpr std::size_t kLinkAdmittedBytes = 64 * 1024 * 1024;
/// What the actors of one node may have told one actor of another node, and that one's mailbox has not taken yet: the
/// credit of a flow (docs/protocol.md, Credit). An eighth of it is left to what is urgent. The last message may go past
/// the bytes.
inline constexpr std::uint32_t kFlowMessages = 4096;
inline constexpr std::uint32_t kFlowBytes = 1024 * 1024;
/// What the actors of one node have told those of this one, and no mailbox has taken yet, all flows together.
inline constexpr std::size_t kHeldMessages = 16 * kFlowMessages;
inline constexpr std::size_t kHeldBytes = 16 * 1024 * 1024;
/// Flows from one node that are remembered.
inline constexpr std::size_t kFlows = 4096;
/// While rows are on their way over a slow link, the queue hears that often that they move.
inline constexpr Duration kRowProgress = std::chrono::seconds{5};
/// Topics with a retained value on one node, and the bytes of all those values.
inline constexpr std::size_t kRetainedValues = 65536;
inline constexpr std::size_t kRetainedBytes = 64 * 1024 * 1024;
/// Units of work of a step that topics leave for the next one: a retained value that is compared with a filter is one,
/// a value that is sent, or a subscription that is removed, about three. A fraction of a millisecond on a desktop.
inline constexpr std::uint64_t kTopicWork = 2048;
/// Filters that one node takes from one linked node. It refuses more, and says so.
inline constexpr std::size_t kFiltersPerLink = 4096;
/// Questions to one linked node that wait for an answer there, and questions of that node that wait for one here. A
/// peer that does not answer, or asks without end, so uses up nobody's share but its own.
inline constexpr std::size_t kAsksPerLink = 1024;

// --- Store -------------------------------------------------------------------------------------------------------
/// Streams of one store. With the bits of a sequence and of a row's state it makes one number of 63 bits.
inline constexpr unsigned kStreamBits = 17;
inline constexpr std::uint32_t kStreams = (1U << kStreamBits) - 1;
inline constexpr unsigned kSequenceBits = 44;
inline constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << kSequenceBits) - 1;
/// Opens of one store whose messages are still there.
inline constexpr std::size_t kIncarnations = 1024;
/// Rows in the hands of handlers at once, all lanes together.
inline constexpr std::size_t kInFlight = 4096;

// --- Queue -------------------------------------------------------------------------------------------------------
/// Streams that hold nothing and are remembered all the same, so that those in use are not made anew for each message.
inline constexpr std::size_t kIdleStreams = 1024;
/// Names of lanes that one node ever uses in one life.
inline constexpr std::size_t kLanes = 1024;
/// Rows of one stream that are sent and not yet acknowledged.
inline constexpr std::size_t kOutboxWindow = 4096;
/// And their bytes, all streams to one node together, on a fast link (FlowWindow): less than a link holds back.
inline constexpr std::size_t kOutboxWindowBytes = 2 * 1024 * 1024;
/// What a row takes on a link beside its texts and its payload, about: its header and padding (docs/protocol.md).
inline constexpr std::size_t kRowHeadBytes = 64;
/// A lane that waits behind higher ones has its turn once it is owed so much of its share.
inline constexpr std::size_t kShareBytes = 4096;
/// Rows are in flight, and for this long none was acknowledged and no bytes of any arrived, though the link lives: a
/// frame was lost, or its acknowledgement was. They are sent again from the oldest.
inline constexpr Duration kAckTimeout = std::chrono::seconds{30};
/// Rows that one consumer's lane holds in memory, ready or in its hands.
inline constexpr std::size_t kInboxHeldRows = 256;
inline constexpr std::size_t kInboxHeldBytes = 4 * 1024 * 1024;
/// Actors that consume one lane, and fetches that wait for its messages.
inline constexpr std::size_t kConsumers = 256;
inline constexpr std::size_t kFetchers = 1024;
/// A message that may have ended the process is alone in somebody's hands for at most so long.
inline constexpr Duration kSuspectTrial = std::chrono::seconds{5};
/// Rows read from the store at once when the backlog is drained.
inline constexpr std::size_t kReadBatchRows = 512;
/// Rows and bytes that one commit takes at most; what comes meanwhile forms the next group.
inline constexpr std::size_t kGroupRows = 4096;
inline constexpr std::size_t kGroupBytes = 4 * 1024 * 1024;
/// Kept or expired rows that one transaction removes at most: what is left goes in the next.
inline constexpr std::size_t kTrimRows = 256;
/// Keys of a lane that keeps the latest message of each.
inline constexpr std::size_t kLatestKeys = 65536;
/// Idempotency tokens that one node remembers, and the length of one.
inline constexpr std::size_t kTokens = 65536;
inline constexpr std::size_t kTokenBytes = 128;
inline constexpr Duration kTokenMemory = std::chrono::hours{24};
/// Named readers of kept rows, all lanes together.
inline constexpr std::size_t kCursors = 1024;
/// Rows that one transaction moves on: delayed ones that are due, parked ones that a person sends again.
inline constexpr std::size_t kMoveRows = 128;
/// Rows at the head of a stream among which the next to expire is looked for.
inline constexpr std::size_t kExpiryRows = 256;
/// After the store failed, what was refused for that is tried again after so long.
inline constexpr Duration kStoreRetry = std::chrono::seconds{1};
/// How long a message may be delayed or live at most; more is a mistake in units.
inline constexpr Duration kLongestWait = std::chrono::hours{24 * 365};
/// Rows of a stream that a look into it passes at most: what it finds behind them is not told.
inline constexpr std::size_t kLookRows = 100'000;
/// Rows that one query of the application's tables answers with at most.
inline constexpr std::size_t kQueryRows = 10'000;
/// Rows whose receipt says `memory` wait so long for others to share their commit.
inline constexpr Duration kLazyCommit = std::chrono::milliseconds{20};
/// The longest that a program may let a group wait for company.
inline constexpr Duration kCommitDelay = std::chrono::milliseconds{100};
/// SQL of one batch: statements, and the bytes of one with its values.
inline constexpr std::size_t kSqlStatements = 256;
inline constexpr std::size_t kSqlBytes = 1024 * 1024;
/// Instructions of SQLite's machine that one statement of the application takes at most: seconds.
inline constexpr std::uint64_t kSqlInstructions = 50'000'000;
/// Damaged files that are kept beside a store; at the bound one that is damaged again is refused.
inline constexpr std::uint32_t kDamagedFiles = 9;
inline constexpr std::uint64_t kLaneMessages = 10'000'000;
inline constexpr std::uint64_t kLaneBytes = 512ULL * 1024 * 1024;

static_assert(16 * kAsksPerLink <= kAsksInFlight, "a few peers must not use up the questions of a worker");
static_assert(8 * kIdleNames <= kNames, "a few peers must not use up the names");
static_assert(kFrameTargetBytes + kPayloadBytes + 4096 <= kFrameBytes, "one payload must fit behind a full target");
static_assert(kOutboxWindowBytes + kPayloadBytes < kLinkQueueBytes);
static_assert(kPayloadBytes <= kFlowBytes && kFlowBytes < kLinkQueueBytes / 2);
static_assert(kRowProgress < kAckTimeout / 2);
static_assert(kHeartbeatTimeout > 3 * kHeartbeatInterval, "one lost heartbeat must not cut a link");
static_assert(2 + kStreamBits + kSequenceBits == 63);
static_assert(kInboxHeldRows <= kInFlight && kPayloadBytes <= kInboxHeldBytes);
static_assert(kPayloadBytes <= kGroupBytes && kPayloadBytes <= kLinkQueueBytes && kPayloadBytes <= kMailboxBytes);

}  // namespace pannier::limits
