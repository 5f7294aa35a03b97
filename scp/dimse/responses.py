"""Responses to what was asked on an association, and to nothing else."""

from typing import Any

from scp.dimse.incoming import LimitedMessages
from scp.dimse.upper_layer import End, layer_of


class MatchedResponses(LimitedMessages):
    """Takes a response only for the request that is outstanding, and waits for no ended peer.

    pynetdicom takes whatever comes next for the answer: a Success for another message would then
    count as a delivery, or as "no earlier films". DCMTK too gives such a peer up.

    References
    ----------
    PS3.7 6.3.1 and 9.1.1: Message ID Being Responded To is the request's Message ID.
    """

    _asked: tuple[type, int, int] | None = None

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message; remember a request."""
        if primitive.MessageIDBeingRespondedTo is None:
            self._asked = type(primitive), primitive.MessageID, context_id
        super().send_msg(primitive, context_id)

    def get_msg(self, block: bool = False) -> tuple[Any, Any]:
        """Return context ID and message; (None, None) where none comes, or another response."""
        layer = layer_of(self.assoc)
        # pynetdicom's own thread may have taken what the end put into the queue
        over = layer.end is not None and self.msg_queue.empty()
        context_id, message = super().get_msg(block and not over)
        answers = None if message is None else message.MessageIDBeingRespondedTo
        if answers is None or self._asked in (None, (type(message), answers, context_id)):
            return context_id, message
        layer.note(End.MALFORMED)
        return None, None
