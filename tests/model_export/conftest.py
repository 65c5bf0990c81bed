"""Models of these tests are so small that a second thread of torch only waits for the first."""

import torch

torch.set_num_threads(1)
