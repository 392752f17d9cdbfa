use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum ToolEvent {
    Returned,
}

#[derive(Event, Serialize, Deserialize)]
enum MemberEvent {
    GaveBack,
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "tool", id = u32, event = ToolEvent)]
struct Tool {
    holder: Option<String>,
}

impl Apply<ToolEvent> for Tool {
    fn apply(&mut self, _: &ToolEvent) {}
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "member", id = String, event = MemberEvent)]
struct Member;

impl Apply<MemberEvent> for Member {
    fn apply(&mut self, _: &MemberEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Tool, find = "Member")]
struct Return {
    #[id]
    tool: u32,
}

fn main() {}
