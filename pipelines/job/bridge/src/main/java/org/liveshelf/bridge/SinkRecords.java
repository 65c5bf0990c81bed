package org.liveshelf.bridge;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.flink.types.Row;

/**
 * An output of the operator (kind, key, value, headers) as a record of the topic of its kind. Kafka's own partitioner
 * decides by the key.
 */
public final class SinkRecords implements KafkaRecordSerializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private final HashMap<String, String> topics;

    /** topics: kind to topic; outputs of other kinds are left to other sinks. */
    public SinkRecords(Map<String, String> topics) {
        this.topics = new HashMap<>(topics);
    }

    @Override
    @SuppressWarnings("unchecked")
    public ProducerRecord<byte[], byte[]> serialize(Row output, KafkaSinkContext context, Long timestamp) {
        String topic = topics.get(output.getField(0));
        if (topic == null) {
            return null;
        }
        List<Header> headers = new ArrayList<>();
        if (output.getField(3) != null) {
            ((Map<String, byte[]>) output.getField(3)).forEach((name, value) -> headers.add(new RecordHeader(name, value)));
        }
        return new ProducerRecord<>(topic, null, (byte[]) output.getField(1), (byte[]) output.getField(2), headers);
    }
}
