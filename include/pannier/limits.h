#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <pannier/platform.h>

/// Every bound of the runtime, tied together by compile-time checks (TigerBeetle `src/constants.zig`). A configurable
/// bound is a default here and a field of an options struct.
namespace pannier::limits {

// --- Names -------------------------------------------------------------------------------------------------------
inline constexpr std::size_t kNodeNameBytes = 64;
inline constexpr std::size_t kActorNameBytes = 64;
inline constexpr std::size_t kLaneNameBytes = 64;
inline constexpr std::size_t kKeyBytes = 255;
/// The cause of a waiting or dead-lettered message. Longer texts are cut.
inline constexpr std::size_t kCauseBytes = 512;
inline constexpr std::size_t kStateKeyBytes = 255;
inline constexpr std::size_t kTopicBytes = 255;
inline constexpr std::size_t kTopicLevels = 16;

// --- Messages ----------------------------------------------------------------------------------------------------
/// The largest payload that leaves a process or goes to disk.
inline constexpr std::size_t kPayloadBytes = 256 * 1024;
/// The largest frame on a link. A peer that sends more is disconnected before anything is parsed.
inline constexpr std::size_t kFrameBytes = 1024 * 1024;
/// A frame is closed and sent once it holds this much, so an urgent message waits for one frame at most.
inline constexpr std::size_t kFrameTargetBytes = 32 * 1024;
/// Alignment of received bytes: FlatBuffers checks alignment only relative to the buffer.
inline constexpr std::size_t kPayloadAlignment = 16;
/// FlatBuffers verifier bounds. Its defaults (64 and 1,000,000) let a small buffer take a long time.
inline constexpr std::size_t kVerifyDepth = 16;
inline constexpr std::size_t kVerifyTables = 1000;

// --- Actors ------------------------------------------------------------------------------------------------------
inline constexpr std::size_t kMailboxMessages = 1024;
inline constexpr std::size_t kMailboxBytes = 4 * 1024 * 1024;
/// Over all mailboxes, besides the bound above: stop, down, replies, timers. A reply is bounded by its ask.
inline constexpr std::size_t kAsksInFlight = 65536;
/// Actors waiting for each other in one chain of asks.
inline constexpr std::size_t kAskChain = 16;
/// Supervisors that a report names above an actor.
inline constexpr std::size_t kPathDepth = 16;
/// Actor names, of this and other nodes, known to one node at once.
inline constexpr std::size_t kNames = 65536;
/// Names of one node that are remembered although no actor holds them; see Directory.
inline constexpr std::size_t kIdleNames = 4096;
/// Names held by one actor. It may lose those it asked for earlier.
inline constexpr std::size_t kNamesHeld = 256;
/// Messages one actor handles before the next actor of its worker runs.
inline constexpr std::size_t kActorBatch = 64;
/// Messages a worker handles in one step before it checks clock, inbox and sockets again.
inline constexpr std::size_t kStepBatch = 4096;
inline constexpr std::size_t kWorkers = 64;

// --- Links -------------------------------------------------------------------------------------------------------
inline constexpr std::size_t kLinks = 4096;
/// Accepted connections of one listening address that have sent no frame yet. Beyond it, one of the source with the
/// most of them is cut.
inline constexpr std::size_t kUnprovenConnections = 48;
/// The default of a link, and what LinkOptions::heartbeat may ask for.
inline constexpr Duration kHeartbeatInterval = std::chrono::seconds{2};
inline constexpr Duration kHeartbeatLeast = std::chrono::milliseconds{100};
inline constexpr Duration kHeartbeatMost = std::chrono::minutes{10};
/// After so many half intervals without a sign the peer is gone, whatever TCP says.
inline constexpr int kSilentHalves = 5;
/// The longest sleep that a node may announce.
inline constexpr Duration kQuietMost = std::chrono::hours{24};
inline constexpr Duration kHandshakeTimeout = std::chrono::seconds{5};
inline constexpr Duration kReconnectBase = std::chrono::milliseconds{100};
inline constexpr Duration kReconnectCap = std::chrono::seconds{30};
/// The cap for this long after a link was lost: a restarted hub has its devices back within seconds.
inline constexpr Duration kReconnectCapSoon = std::chrono::seconds{2};
inline constexpr Duration kReconnectSoon = std::chrono::minutes{2};
/// Hellos that a listening node accepts in a second. It tells the others after how long to dial again, spread over
/// kRetrySpread; a dialler heeds at most kRetryAfterMost.
inline constexpr std::size_t kAcceptsPerSecond = 200;
inline constexpr Duration kRetrySpread = std::chrono::seconds{3};
inline constexpr Duration kRetryAfterMost = std::chrono::minutes{5};
/// The longest route, in links, and the nodes that one link may lead to.
inline constexpr std::size_t kHops = 16;
inline constexpr std::size_t kNodesPerLink = 4096;
/// Routes, or peers, of one answer.
inline constexpr std::size_t kRoutesListed = 1000;
/// A ring of links that stands for so long is opened. Shorter ones come and go when a node changes its place.
inline constexpr Duration kRingGrace = std::chrono::seconds{15};
/// A link that ends sooner after its hello has not settled: the dialler keeps backing off.
inline constexpr Duration kLinkSettles = std::chrono::seconds{2};
/// As kLinkSettles, for a link that ends in a refusal or is replaced by a newer one.
inline constexpr Duration kLinkProven = std::chrono::minutes{1};
/// A dialler's backoff after a refusal starts at a ceiling of 100 ms times 2 to this power.
inline constexpr std::uint32_t kRefusedFailures = 5;
/// A repeated complaint about a link is logged once in this time, with its count.
inline constexpr Duration kComplaintInterval = std::chrono::minutes{10};
inline constexpr std::size_t kComplaints = 256;
/// The text of a goodbye. Longer texts are cut.
inline constexpr std::size_t kGoodbyeBytes = 200;
/// Bytes of records waiting for one link, and of frames in one in-process or simulated channel. Beyond it a send is
/// refused. ZeroMQ counts frames instead: ZmqOptions::queue_frames.
inline constexpr std::size_t kLinkQueueBytes = 4 * 1024 * 1024;
/// Added for records whose loss would cost the link: replies and filters.
inline constexpr std::size_t kLinkReserveBytes = 1024 * 1024;
/// On top, for what actors have told before they could know that a link is full: what the mailbox of the router holds.
inline constexpr std::size_t kLinkAdmittedBytes = 64 * 1024 * 1024;
/// What the actors of one node may have told one actor of another node, and that one's mailbox has not taken yet: the
/// credit of a flow (docs/protocol.md, Credit). An eighth of it is left to what is urgent. The last message may go past
/// the bytes.
inline constexpr std::uint32_t kFlowMessages = 4096;
inline constexpr std::uint32_t kFlowBytes = 1024 * 1024;
/// What a tell that waits for its mailbox, or a row that waits for the store, is charged with besides its bytes.
inline constexpr std::size_t kHeldMessageBytes = 256;
/// Flows from one node that are remembered.
inline constexpr std::size_t kFlows = 4096;
/// How often a link reports progress to the queue while rows are crossing it slowly.
inline constexpr Duration kRowProgress = std::chrono::seconds{5};
/// Topics and types that a node numbers, and the bytes of all their histories (PublishOptions::history).
inline constexpr std::size_t kHistoryTopics = 1024;
inline constexpr std::size_t kHistoryBytes = 16 * 1024 * 1024;
/// Topics with a retained value on one node, and the total bytes of these values.
inline constexpr std::size_t kRetainedValues = 65536;
inline constexpr std::size_t kRetainedBytes = 64 * 1024 * 1024;
/// Units of topic work in one step; the rest waits for the next. Comparing a retained value with a filter costs one
/// unit; sending a value or removing a subscription about three. A fraction of a millisecond on a desktop.
inline constexpr std::uint64_t kTopicWork = 2048;
/// Filters that one node accepts from one linked node. More are refused, and the node is told.
inline constexpr std::size_t kFiltersPerLink = 4096;
/// Questions outstanding to one linked node, and questions from that node outstanding here. A peer that never answers,
/// or never stops asking, uses up only its own share.
inline constexpr std::size_t kAsksPerLink = 1024;
/// The defaults of PeerLimits. Together they keep what one peer can make a node hold in memory below 64 MB.
inline constexpr std::uint64_t kPeerLinks = 64;
inline constexpr std::uint64_t kPeerRowBytes = 4 * 1024 * 1024;
inline constexpr std::uint64_t kPeerTellBytes = 16 * 1024 * 1024;
inline constexpr std::uint64_t kPeerRelayBytes = kLinkQueueBytes / 2;
inline constexpr std::uint64_t kPeerLanes = 64;
inline constexpr std::uint64_t kPeerStreams = 1024;
inline constexpr std::uint64_t kPeerRetainedValues = 4096;
inline constexpr std::uint64_t kPeerRetainedBytes = 8 * 1024 * 1024;
/// Filters and routes that a peer may change in a second, and at once. The link that exceeds it ends.
inline constexpr std::uint64_t kChangesPerSecond = 1000;
inline constexpr std::uint64_t kChangesAtOnce = 4 * kFiltersPerLink;
/// A session ends once so much of its rows was refused in a row: its peer does not heed refusals.
inline constexpr std::uint64_t kUnheededBytes = 16 * 1024 * 1024;

// --- Store -------------------------------------------------------------------------------------------------------
/// Streams of one store. The bits of stream, sequence and row state make one number of 63 bits.
inline constexpr unsigned kStreamBits = 17;
inline constexpr std::uint32_t kStreams = (1U << kStreamBits) - 1;
inline constexpr unsigned kSequenceBits = 44;
inline constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << kSequenceBits) - 1;
/// Openings of one store whose messages are still there.
inline constexpr std::size_t kIncarnations = 1024;
/// Rows held by consumers at once, over all lanes.
inline constexpr std::size_t kInFlight = 4096;

// --- Queue -------------------------------------------------------------------------------------------------------
/// Empty streams that are remembered, so that streams in use are not recreated for each message.
inline constexpr std::size_t kIdleStreams = 1024;
/// Filters of one lane (LaneOptions::topics).
inline constexpr std::size_t kLaneTopics = 16;
/// Lane names that one node uses in one life, and those of them that exist only because peers named them.
inline constexpr std::size_t kLanes = 1024;
inline constexpr std::size_t kForeignLanes = 768;
/// What a lane holds of other nodes' messages while nobody here has declared, used or consumed it.
inline constexpr std::uint64_t kForeignLaneBytes = 8 * 1024 * 1024;
/// The names of the nodes that have stored a message which lanes forward.
inline constexpr std::size_t kPathBytes = kHops * (kNodeNameBytes + 1);
/// Watermarks of one producer, and of all.
inline constexpr std::size_t kProducerStreams = 4096;
inline constexpr std::size_t kWatermarks = 65536;
/// Rows of one stream that are sent and not yet acknowledged.
inline constexpr std::size_t kOutboxWindow = 4096;
/// Their bytes, over all streams to one node, on a fast link (FlowWindow). Less than a link holds.
inline constexpr std::size_t kOutboxWindowBytes = 2 * 1024 * 1024;
/// What a row takes on a link besides its texts and payload, roughly: header and padding (docs/protocol.md).
inline constexpr std::size_t kRowHeadBytes = 64;
/// A lane waiting behind higher ones gets its turn once it is owed this much of its share.
inline constexpr std::size_t kShareBytes = 4096;
/// Rows are sent again from the oldest if none was acknowledged and no bytes of any arrived for this long while the
/// link is up: a frame or its acknowledgement was lost.
inline constexpr Duration kAckTimeout = std::chrono::seconds{30};
/// Rows of one consumed lane held in memory, ready or with a consumer.
inline constexpr std::size_t kInboxHeldRows = 256;
inline constexpr std::size_t kInboxHeldBytes = 4 * 1024 * 1024;
/// Actors consuming one lane, and fetches waiting for its messages.
inline constexpr std::size_t kConsumers = 256;
inline constexpr std::size_t kFetchers = 1024;
/// How long a message that may have ended the process is delivered alone, at most.
inline constexpr Duration kSuspectTrial = std::chrono::seconds{5};
/// Rows read from the store at once while draining the backlog.
inline constexpr std::size_t kReadBatchRows = 512;
/// Rows and bytes of one commit. What arrives meanwhile forms the next group.
inline constexpr std::size_t kGroupRows = 4096;
inline constexpr std::size_t kGroupBytes = 4 * 1024 * 1024;
/// Retained or expired rows removed in one transaction. The rest goes in the next.
inline constexpr std::size_t kTrimRows = 256;
/// Keys of a lane that keeps the latest message of each.
inline constexpr std::size_t kLatestKeys = 65536;
/// Idempotency tokens remembered by one node, the length of one, and for how long.
inline constexpr std::size_t kTokens = 65536;
inline constexpr std::size_t kTokenBytes = 128;
inline constexpr Duration kTokenMemory = std::chrono::hours{24};
/// Named readers of retained rows, over all lanes.
inline constexpr std::size_t kCursors = 1024;
/// Rows moved in one transaction: delayed ones that are due, dead letters being redriven.
inline constexpr std::size_t kMoveRows = 128;
/// Rows at the head of a stream that are searched for the next to expire.
inline constexpr std::size_t kExpiryRows = 256;
/// Delay before retrying what was refused because the store failed.
inline constexpr Duration kStoreRetry = std::chrono::seconds{1};
/// Streams of other nodes that are told once there is room for what was refused.
inline constexpr std::size_t kRefusedStreams = 4096;
/// The longest delay or expiry. More is a mistake in units.
inline constexpr Duration kLongestWait = std::chrono::hours{24 * 365};
/// Rows that one look into a stream examines. What lies behind them is not reported.
inline constexpr std::size_t kLookRows = 100'000;
/// Rows returned by one query of the application's tables.
inline constexpr std::size_t kQueryRows = 10'000;
/// How long rows whose receipt says `memory` wait for others to share their commit.
inline constexpr Duration kLazyCommit = std::chrono::milliseconds{20};
/// The longest time a group may wait for company.
inline constexpr Duration kCommitDelay = std::chrono::milliseconds{100};
/// SQL of one batch: statements, and the bytes of one with its values.
inline constexpr std::size_t kSqlStatements = 256;
inline constexpr std::size_t kSqlBytes = 1024 * 1024;
/// Actors waiting for the application's tables to change.
inline constexpr std::size_t kSqlWatchers = 1024;
/// SQLite instructions that one statement of the application may take: seconds.
inline constexpr std::uint64_t kSqlInstructions = 50'000'000;
/// Damaged files kept beside a store. At the bound, another damaged file is refused.
inline constexpr std::uint32_t kDamagedFiles = 9;
inline constexpr std::uint64_t kLaneMessages = 10'000'000;
inline constexpr std::uint64_t kLaneBytes = 512ULL * 1024 * 1024;

static_assert(16 * kAsksPerLink <= kAsksInFlight, "a few peers must not use up the questions of a worker");
static_assert(8 * kIdleNames <= kNames, "a few peers must not use up the names");
static_assert(kFrameTargetBytes + kPayloadBytes + 4096 <= kFrameBytes, "one payload must fit behind a full target");
static_assert(kOutboxWindowBytes + kPayloadBytes < kLinkQueueBytes);
static_assert(kPayloadBytes <= kFlowBytes && kFlowBytes < kLinkQueueBytes / 2);
static_assert(kRowProgress < kAckTimeout / 2);
static_assert(kSilentHalves > 2 * 2, "one lost heartbeat must not cut a link");
static_assert(2 + kStreamBits + kSequenceBits == 63);
static_assert(kInboxHeldRows <= kInFlight && kPayloadBytes <= kInboxHeldBytes);
static_assert(kPayloadBytes <= kGroupBytes && kPayloadBytes <= kLinkQueueBytes && kPayloadBytes <= kMailboxBytes);

}  // namespace pannier::limits
