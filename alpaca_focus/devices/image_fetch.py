"""The wire's image client as a call of a camera: its deadline, and its errors in this program's words."""

from alpaca_focus.alpaca.client import (
    ImageCancelled,
    ImageMalformed,
    ImageRefused,
    ImageTimeout,
    ImageTransferError,
    fetch_image,
)
from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.core.errors import DeviceError, DeviceTimeout, DeviceUnreachable
from alpaca_focus.core.values import Pixels
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.requester import Requester, current_call
from alpaca_focus.devices.translate import Question, nonsense, refusal

STALL_TIMEOUT_S = 15.0
"""Real seconds without a byte of an image after which the download is given up."""


def fetch_pixels(address: DeviceAddress, device_number: int, requester: Requester) -> Pixels:
    """Download the image of a camera's last exposure; to be called in a worker thread.

    Returns:
        Values in ADU, shape (rows, columns) or (rows, columns, planes).

    Raises:
        DeviceError: It did not come, was refused, or makes no sense.
    """
    call = current_call.get()
    try:
        return fetch_image(
            f"http://{address.authority}",
            device_number,
            timeout_s=call.deadline.remaining_s(),
            stall_timeout_s=STALL_TIMEOUT_S,
            cancel=call.deadline.is_cut,
            client_id=requester.client_id,
            client_transaction_id=requester.next_transaction(),
        )
    except AlpacaError as error:
        raise refusal(call.question, error.number, error.message) from error
    except ImageTransferError as error:
        raise translated(call.question, error) from error


def translated(question: Question, error: ImageTransferError) -> DeviceError:
    """Return the error of this program that a failed transfer stands for."""
    if isinstance(error, ImageRefused):
        return refusal(question, error.status, str(error))
    if isinstance(error, ImageMalformed):
        return nonsense(question, str(error))
    kind = DeviceTimeout if isinstance(error, ImageTimeout | ImageCancelled) else DeviceUnreachable
    return kind(
        question.device,
        f"The frame of {question.device} could not be downloaded. {error} Check that its server is running and that the"
        " network is fast enough for its frames.",
    )
