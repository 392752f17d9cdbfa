"""The procedures of the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from factum_store._proto import groups_pb2 as groups
from factum_store._proto import store_pb2 as pb

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Req, Res]):
    """A procedure with the types of its request and its answers."""

    name: str
    request: type[Req]
    response: type[Res]
    service: str = "EventStoreService"

    @property
    def path(self) -> str:
        """The path of the procedure in HTTP."""
        return f"/factum.store.v1.{self.service}/{self.name}"


APPEND = Method("Append", pb.AppendRequest, pb.AppendResponse)
READ_STREAM = Method("ReadStream", pb.ReadStreamRequest, pb.ReadStreamResponse)
READ_ALL = Method("ReadAll", pb.ReadAllRequest, pb.ReadAllResponse)
SUBSCRIBE = Method("Subscribe", pb.SubscribeRequest, pb.SubscribeResponse)
GET_HEAD = Method("GetHead", pb.GetHeadRequest, pb.GetHeadResponse)
LIST_STREAMS = Method("ListStreams", pb.ListStreamsRequest, pb.ListStreamsResponse)
LIST_EVENT_TYPES = Method("ListEventTypes", pb.ListEventTypesRequest, pb.ListEventTypesResponse)
DESCRIBE_STREAM = Method("DescribeStream", pb.DescribeStreamRequest, pb.DescribeStreamResponse)
GET_SERVER_INFO = Method("GetServerInfo", pb.GetServerInfoRequest, pb.GetServerInfoResponse)

GROUPS = "ConsumerGroupService"

CREATE_GROUP = Method("CreateGroup", groups.CreateGroupRequest, groups.CreateGroupResponse, GROUPS)
UPDATE_GROUP = Method("UpdateGroup", groups.UpdateGroupRequest, groups.UpdateGroupResponse, GROUPS)
DELETE_GROUP = Method("DeleteGroup", groups.DeleteGroupRequest, groups.DeleteGroupResponse, GROUPS)
DESCRIBE_GROUP = Method("DescribeGroup", groups.DescribeGroupRequest, groups.DescribeGroupResponse, GROUPS)
LIST_GROUPS = Method("ListGroups", groups.ListGroupsRequest, groups.ListGroupsResponse, GROUPS)
RESET_GROUP = Method("ResetGroup", groups.ResetGroupRequest, groups.ResetGroupResponse, GROUPS)
RESUME_GROUP = Method("ResumeGroup", groups.ResumeGroupRequest, groups.ResumeGroupResponse, GROUPS)
CONSUME = Method("Consume", groups.ConsumeRequest, groups.ConsumeResponse, GROUPS)
LIST_DEAD_LETTERS = Method("ListDeadLetters", groups.ListDeadLettersRequest, groups.ListDeadLettersResponse, GROUPS)
RETRY_DEAD_LETTERS = Method("RetryDeadLetters", groups.RetryDeadLettersRequest, groups.RetryDeadLettersResponse, GROUPS)
DISCARD_DEAD_LETTERS = Method(
    "DiscardDeadLetters", groups.DiscardDeadLettersRequest, groups.DiscardDeadLettersResponse, GROUPS
)
