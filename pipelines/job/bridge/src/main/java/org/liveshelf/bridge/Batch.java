package org.liveshelf.bridge;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.types.Row;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;

/**
 * The entries of one crossing, packed as they come. The state of a user goes with the user's first entry, unless Python
 * has it: it caches two generations of states, and `young` and `old` are the names in them.
 */
final class Batch {
    private static final byte[] ARRAY_32 = {(byte) 0xdd, 0, 0, 0, 0}; // its size is written last
    private static final long LARGE = 4 << 20; // bytes
    private final MessageBufferPacker packer = MessagePack.newDefaultBufferPacker();
    private final List<Row> keys = new ArrayList<>();
    private final Set<String> users = new HashSet<>();
    private Set<String> young = new HashSet<>();
    private Set<String> old = new HashSet<>();

    /**
     * The fields of `Entry` in pipelines/job/batch_messages.py.
     *
     * @param key of the keyed stream
     * @param record user (bytes), value, topic, partition, offset, broker_ms, keyed
     */
    void addRecord(String key, Row record, ValueState<byte[]> state) throws IOException {
        packer.packArrayHeader(10);
        binary((byte[]) record.getField(0));
        state(key, state);
        packer.packBoolean(false);
        binary((byte[]) record.getField(1));
        packer.packString((String) record.getField(2));
        packer.packInt((Integer) record.getField(3));
        packer.packLong((Long) record.getField(4));
        packer.packLong((Long) record.getField(5));
        packer.packBoolean((Boolean) record.getField(6));
        packer.packLong(0);
    }

    /** A fired timer of the current key, as `Entry`; 0: no timer fired, Python wants to see this user's state. */
    void addTimer(String key, long timestamp, ValueState<byte[]> state) throws IOException {
        packer.packArrayHeader(10);
        binary(key.getBytes(StandardCharsets.ISO_8859_1)); // its characters stand for bytes
        state(key, state);
        packer.packBoolean(true);
        packer.packNil();
        packer.packString("");
        packer.packInt(0);
        packer.packLong(0);
        packer.packLong(0);
        packer.packBoolean(false);
        packer.packLong(timestamp);
    }

    /** Python has dropped its older generation of states. */
    void dropOld() {
        old = young;
        young = new HashSet<>();
    }

    /** Python has cached a state. */
    void cached(Row key) {
        young.add((String) key.getField(0));
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

    Batch() throws IOException {
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

    private void state(String key, ValueState<byte[]> state) throws IOException {
        keys.add(Row.of(key));
        if (!users.add(key)) {
            packer.packNil();
        } else if (young.contains(key) || old.contains(key)) {
            packer.packBoolean(false); // not nil, which is a new user
        } else {
            binary(state.value());
        }
    }

    private void binary(byte[] bytes) throws IOException {
        if (bytes == null) {
            packer.packNil();
        } else {
            packer.packBinaryHeader(bytes.length);
            packer.writePayload(bytes);
        }
    }
}
