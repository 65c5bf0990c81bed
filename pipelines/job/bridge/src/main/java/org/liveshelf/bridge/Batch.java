package org.liveshelf.bridge;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.types.Row;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;

/**
 * The entries of one crossing, packed as they come. The state of a user goes with the user's first entry, unless Python
 * has it: it may cache two generations of states, and `young` and `old` are the names in them.
 */
final class Batch {
    private static final byte[] ARRAY_32 = {(byte) 0xdd, 0, 0, 0, 0}; // its size is written last
    private static final int OWN_FIELDS = 3; // of an entry, before those of its record
    private static final long LARGE = 4 << 20; // bytes
    private final MessageBufferPacker packer = MessagePack.newDefaultBufferPacker();
    private final List<Row> keys = new ArrayList<>();
    private final Set<String> users = new HashSet<>();
    private final int recordFields;
    private final boolean remembers;
    private Set<String> young = new HashSet<>();
    private Set<String> old = new HashSet<>();

    /**
     * The fields of `Entry` in pipelines/job/batch_messages.py, `FeedbackEntry` in feedback_messages.py, or `ItemEntry` in
     * demand_messages.py.
     *
     * @param record the user's id, and the packed fields from `value` on (SourceRecords), or the one after
     *     the state (EntriesOf)
     */
    void addRecord(Row key, Tuple2<byte[], byte[]> record, ValueState<byte[]> state) throws IOException {
        packer.packArrayHeader(OWN_FIELDS + recordFields);
        binary(packer, record.f0);
        state(key, state);
        packer.packNil();
        packer.writePayload(record.f1);
    }

    /** A fired timer of the current key, as `Entry`; 0: no timer fired, Python wants to see this user's state. */
    void addTimer(Row key, long timestamp, ValueState<byte[]> state) throws IOException {
        packer.packArrayHeader(OWN_FIELDS);
        binary(packer, UserKey.bytes(key));
        state(key, state);
        packer.packLong(timestamp);
    }

    /** Python has dropped its older generation of states. */
    void dropOld() {
        old = young;
        young = new HashSet<>();
    }

    /** Python has written a state, and cached it where it caches states. */
    void cached(Row key) {
        if (remembers) {
            young.add((String) key.getField(0));
        }
    }

    int size() {
        return keys.size();
    }

    boolean isLarge() {
        return packer.getTotalWrittenBytes() > LARGE;
    }

    /** The key of each entry; `clear` empties it. */
    List<Row> keys() {
        return keys;
    }

    Batch(int recordFields, boolean remembers) throws IOException {
        this.recordFields = recordFields;
        this.remembers = remembers;
        packer.writePayload(ARRAY_32);
    }

    /** All entries as one array. */
    byte[] take() throws IOException {
        byte[] message = packer.toByteArray();
        ByteBuffer.wrap(message).putInt(1, keys.size());
        packer.clear();
        packer.writePayload(ARRAY_32);
        users.clear();
        return message;
    }

    void clear() {
        keys.clear();
    }

    private void state(Row key, ValueState<byte[]> state) throws IOException {
        keys.add(key);
        String user = (String) key.getField(0);
        if (!users.add(user)) {
            packer.packNil();
        } else if (young.contains(user) || old.contains(user)) {
            packer.packBoolean(false); // not nil, which is a new user
        } else {
            binary(packer, state.value());
        }
    }

    static void binary(MessageBufferPacker packer, byte[] bytes) throws IOException {
        if (bytes == null) {
            packer.packNil();
        } else {
            packer.packBinaryHeader(bytes.length);
            packer.writePayload(bytes);
        }
    }
}
