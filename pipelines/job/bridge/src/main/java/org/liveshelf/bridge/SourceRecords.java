package org.liveshelf.bridge;

import static org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;

import java.io.IOException;
import org.apache.flink.api.common.serialization.DeserializationSchema.InitializationContext;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.util.Collector;
import org.msgpack.core.MessageBufferPacker;
import org.msgpack.core.MessagePack;

/**
 * A record of a source as the bytes of its user's id and the fields of `Entry` from `value` on
 * (pipelines/job/batch_messages.py), packed once: the key's exchange and the batch copy them as they are.
 */
public final class SourceRecords implements KafkaRecordDeserializationSchema<Tuple2<byte[], byte[]>> {
    private static final long serialVersionUID = 1L;

    private final int maxChars;
    private transient MessageBufferPacker packer;

    /** maxChars: the longest body that is asked for the user of a record without key. */
    public SourceRecords(int maxChars) {
        this.maxChars = maxChars;
    }

    @Override
    public void open(InitializationContext context) {
        packer = MessagePack.newDefaultBufferPacker();
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple2<byte[], byte[]>> out)
            throws IOException {
        byte[] key = record.key();
        byte[] value = record.value();
        boolean keyed = key != null && key.length > 0;
        packer.clear();
        Batch.binary(packer, value);
        packer.packString(record.topic());
        packer.packInt(record.partition());
        packer.packLong(record.offset());
        packer.packLong(record.timestamp());
        packer.packBoolean(keyed);
        out.collect(Tuple2.of(keyed ? key : UserOfBody.of(value, maxChars), packer.toByteArray()));
    }

    @Override
    public TypeInformation<Tuple2<byte[], byte[]>> getProducedType() {
        return Types.TUPLE(BYTE_PRIMITIVE_ARRAY_TYPE_INFO, BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
    }
}
