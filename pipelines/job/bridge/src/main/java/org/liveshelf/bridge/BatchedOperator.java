package org.liveshelf.bridge;

import java.time.Duration;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.python.embedded.EmbeddedPythonKeyedProcessOperator;
import org.apache.flink.streaming.api.typeinfo.python.PickledByteArrayTypeInfo;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * PyFlink's keyed operator with one crossing into Python for a batch of records and timers.
 *
 * <p>It decides nothing. It buffers records and fired timers, reads each user's state once a batch, hands all of it to
 * Python as one byte string, and does what the answer says: writes states, sets timers, emits records. The messages are
 * described in pipelines/job/batch_messages.py, and for the operators behind it in feedback_messages.py and demand_messages.py.
 *
 * <p>A batch is handed over when it is full, when the one before it lies long enough in the past, lingerMs after its
 * first entry otherwise (BUSY_FACTOR times as long under load, where a crossing for a few entries would cost more than
 * the wait), before each barrier, at the end of the input, and when Python says that a list is ready.
 */
public final class BatchedOperator extends EmbeddedPythonKeyedProcessOperator<Row, Tuple2<byte[], byte[]>, Row> {
    private static final long serialVersionUID = 1L;
    private static final int BUSY = 8; // entries of the batch before
    private static final long BUSY_PER_MS = 4; // of them: at 500 events/s a burst must not make the next ones wait
    private static final int BUSY_FACTOR = 4;

    private final String stateName;
    private final int maxBatch;
    private final long lingerMs;
    private final long timeToLiveMs;
    private final int recordFields;
    private final boolean remembers;

    private transient ValueState<byte[]> state;
    private transient UserTimers timers;
    private transient MailboxExecutor mailbox;
    private transient Batch batch;
    private transient WakeUp wakeUp;
    private transient long flushedNs;
    private transient boolean busy;
    private transient boolean lingers;
    private transient boolean listsReady;
    private transient boolean finished;
    private transient Python python;
    private transient Counter batches;
    private transient Counter entries;

    /**
     * stateName: of the users' state, in savepoints and in metrics; recordFields: how many packed fields a record has
     * after its user's id; remembers: whether users are known from batch to batch. Then Python caches their states, and a
     * new timer of a user replaces the one before.
     */
    @SuppressWarnings({"unchecked", "rawtypes"}) // PyFlink asks for a row's type, for a converter that is not used here
    public BatchedOperator(
            Configuration configuration,
            DataStreamPythonFunctionInfo function,
            TypeInformation<Row> output,
            String stateName,
            int maxBatch,
            long lingerMs,
            long timeToLiveMs,
            int recordFields,
            boolean remembers) {
        super(configuration, function, (TypeInformation) Types.ROW(Types.STRING), output);
        this.stateName = stateName;
        this.maxBatch = maxBatch;
        this.lingerMs = lingerMs;
        this.timeToLiveMs = timeToLiveMs;
        this.recordFields = recordFields;
        this.remembers = remembers;
    }

    @Override
    public void open() throws Exception {
        super.open(); // calls openPythonInterpreter
        timers = new UserTimers(
                getInternalTimerService("user-timers", VoidNamespaceSerializer.INSTANCE, this),
                this::setCurrentKey,
                remembers);
        ValueStateDescriptor<byte[]> user =
                new ValueStateDescriptor<>(stateName, PickledByteArrayTypeInfo.PICKLED_BYTE_ARRAY_TYPE_INFO);
        user.enableTimeToLive(
                StateTtlConfig.newBuilder(Duration.ofMillis(timeToLiveMs))
                        .disableCleanupInBackground()
                        .cleanupInRocksdbCompactFilter(1000, Duration.ofDays(30))
                        .build());
        state = getRuntimeContext().getState(user);
        batch = new Batch(recordFields, remembers);
        mailbox = getContainingTask().getMailboxExecutorFactory().createExecutor(getOperatorConfig().getChainIndex());
        int descriptor = ((Number) python.call("wake_up_descriptor")).intValue();
        if (descriptor >= 0) { // else Python has nothing to emit but answers
            wakeUp = WakeUp.start(descriptor, () -> mailbox.execute(this::wokenUp, "a list is ready"));
        }
        batches = getMetricGroup().counter("liveshelfBatches");
        entries = getMetricGroup().counter("liveshelfBatchEntries");
    }

    /** Instead of PyFlink's operation: the pickled object itself, which gets no Java object. */
    @Override
    public void openPythonInterpreter() {
        try {
            python = new Python(this);
            python.unpickle(getPythonFunctionInfo().getPythonFunction().getSerializedPythonFunction());
            python.call("open", getRuntimeContext().getTaskInfo().getIndexOfThisSubtask());
        } catch (RuntimeException error) {
            throw error;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void processElement(StreamRecord<Tuple2<byte[], byte[]>> element) throws Exception {
        batch.addRecord((Row) getCurrentKey(), element.getValue(), state);
        added();
    }

    @Override
    public void onProcessingTime(InternalTimer<Row, VoidNamespace> timer) throws Exception {
        timers.fired(timer.getKey(), timer.getTimestamp());
        batch.addTimer(timer.getKey(), timer.getTimestamp(), state);
        added();
    }

    private void added() throws Exception {
        boolean isFull = batch.size() >= maxBatch || batch.isLarge();
        if (isFull || (!lingers && System.nanoTime() - flushedNs > 1_000_000L * lingerMs)) {
            flush();
        } else if (!lingers) {
            lingers = true;
            long ms = busy ? BUSY_FACTOR * lingerMs : lingerMs;
            long at = getProcessingTimeService().getCurrentProcessingTime() + ms;
            getProcessingTimeService().registerTimer(at, time -> {
                lingers = false;
                if (batch.size() > 0 || listsReady) {
                    flush();
                }
            });
        }
    }

    private void wokenUp() throws Exception {
        wakeUp.taken();
        listsReady = true;
        if (!lingers) {
            flush();
        }
    }

    private void flush() throws Exception {
        if (finished) {
            return; // the sinks take nothing after the end of the input
        }
        do {
            cross();
        } while (batch.size() > 0); // users that Python wants to see
    }

    private void cross() throws Exception {
        boolean empty = batch.size() == 0;
        listsReady = false;
        if (!empty) {
            long gatheredNs = System.nanoTime() - flushedNs;
            busy = batch.size() >= BUSY && 1_000_000L * batch.size() >= BUSY_PER_MS * gatheredNs;
            batches.inc();
            entries.inc(batch.size());
        }
        byte[] message = batch.take();
        byte[] answer = (byte[]) python.call("on_batch", (Object) message);
        Object current = getCurrentKey();
        new Answer(answer).act(batch, this::setCurrentKey, state, timers, collector);
        if (current != null) {
            setCurrentKey(current); // of the record that Flink has in hand
        }
        if (!empty) {
            flushedNs = System.nanoTime();
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        flush();
        super.prepareSnapshotPreBarrier(checkpointId);
    }

    @Override
    public void endInput() {
        // `finish` follows; PyFlink would close the Python object here already
    }

    @Override
    public void finish() throws Exception {
        flush();
        finished = true;
        super.finish();
    }

    /** Flink calls it after a cancellation and a failure too; PyFlink closes its Python object at the end of input only. */
    @Override
    public void close() throws Exception {
        try {
            if (wakeUp != null) {
                wakeUp.stop();
            }
            if (python != null) {
                python.call("close");
            }
        } finally {
            super.close();
        }
    }
}
